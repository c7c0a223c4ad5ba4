import type { Redis } from "@shardcast/redis";
import type { NodeKeys } from "./node-keys.ts";
import { type NodeRecord, parseNodeRecord } from "./node-record.ts";

/** The entries of these nodes, without those that are missing, of another id, or that a node of this version cannot have written. @throws RedisError */
export async function readNodes(redis: Pick<Redis, "send">, keys: NodeKeys, ids: readonly string[]): Promise<readonly NodeRecord[]> {
	if (ids.length === 0) return [];
	const records = (await redis.send(keys.nodes, ["MGET", ...ids.map((id) => keys.node(id))])) as readonly unknown[];
	return records.flatMap((json, index) => {
		const record = parseNodeRecord(json);
		return record === null || record.id !== ids[index] ? [] : [record];
	});
}

/** What a message on the channel of events says. Null = a message of another program. */
export function readNodeEvent(message: Buffer): { readonly type?: unknown; readonly node?: unknown; readonly reason?: unknown } | null {
	try {
		const { type, node, reason } = JSON.parse(message.toString()) as Readonly<Record<string, unknown>>;
		return { type, node, reason };
	} catch {
		return null;
	}
}
