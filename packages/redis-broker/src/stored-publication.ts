import type { PublishOptions } from "@shardcast/channel-log";
import { isPublisherInfo, RecordKind } from "@shardcast/wire";
import type { NodeId } from "./node-id.ts";

/**
 * A publication as it is stored in a stream. Little-endian:
 * ```
 * 0 version u8 | 1 kind u8 | 2 flags u8 | 3 0 | 4 node i32 × 2 | 12 sender u32 | 16 sender's life u32 | 20 info bytes u32 | 24 tags bytes u32 | 28 info, tags (JSON), data
 * ```
 */
const Layout = { version: 1, headBytes: 28, delta: 1 } as const;

export interface StoredPublication {
	readonly kind: RecordKind;
	readonly delta: boolean;
	/** The node where it was published. */
	readonly node: NodeId;
	/** The client that does not get its message back; 0 = none. Valid only on its own node. */
	readonly senderId: number;
	readonly senderLife: number;
	readonly info: Uint8Array | undefined;
	readonly tags: Readonly<Record<string, string>> | undefined;
	readonly data: Uint8Array;
}

export function encodePublication(node: NodeId, data: Uint8Array, options: Omit<PublishOptions, "history" | "idempotency">): Buffer {
	const { kind = RecordKind.text, delta = false, sender, info, tags } = options;
	const encodedTags = tags === undefined ? "" : JSON.stringify(tags);
	const tagsBytes = Buffer.byteLength(encodedTags);
	const infoBytes = info?.length ?? 0;
	const bytes = Buffer.allocUnsafe(Layout.headBytes + infoBytes + tagsBytes + data.length);
	bytes[0] = Layout.version;
	bytes[1] = kind;
	bytes[2] = delta ? Layout.delta : 0;
	bytes[3] = 0;
	bytes.writeInt32LE(node.id0, 4);
	bytes.writeInt32LE(node.id1, 8);
	bytes.writeUInt32LE(sender?.id ?? 0, 12);
	bytes.writeUInt32LE((sender?.life ?? 0) >>> 0, 16);
	bytes.writeUInt32LE(infoBytes, 20);
	bytes.writeUInt32LE(tagsBytes, 24);
	if (info !== undefined) bytes.set(info, Layout.headBytes);
	bytes.write(encodedTags, Layout.headBytes + infoBytes);
	bytes.set(data, Layout.headBytes + infoBytes + tagsBytes);
	return bytes;
}

/** Its parts are views of `bytes`. Null = written by another program or a newer version. */
export function decodePublication(bytes: Buffer): StoredPublication | null {
	if (bytes.length < Layout.headBytes || bytes[0] !== Layout.version) return null;
	const kind = bytes[1] as RecordKind;
	const infoEnd = Layout.headBytes + bytes.readUInt32LE(20);
	const tagsEnd = infoEnd + bytes.readUInt32LE(24);
	if (tagsEnd > bytes.length || (kind !== RecordKind.text && kind !== RecordKind.binary)) return null;
	const info = infoEnd > Layout.headBytes ? bytes.subarray(Layout.headBytes, infoEnd) : undefined;
	const tags = tagsIn(bytes.subarray(infoEnd, tagsEnd));
	// Shards trust what is in the logs: what they cannot read would end all of them.
	if (tags === null || (info !== undefined && !isPublisherInfo(info))) return null;
	return {
		kind,
		delta: (bytes[2]! & Layout.delta) !== 0,
		node: { id0: bytes.readInt32LE(4), id1: bytes.readInt32LE(8) },
		senderId: bytes.readUInt32LE(12),
		senderLife: bytes.readUInt32LE(16),
		info,
		tags,
		data: bytes.subarray(tagsEnd),
	};
}

function tagsIn(bytes: Buffer): Readonly<Record<string, string>> | undefined | null {
	if (bytes.length === 0) return undefined;
	try {
		const tags: unknown = JSON.parse(bytes.toString());
		const isRecord = typeof tags === "object" && tags !== null && Object.values(tags).every((value) => typeof value === "string");
		return isRecord ? (tags as Record<string, string>) : null;
	} catch {
		return null;
	}
}
