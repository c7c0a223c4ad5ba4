import { type ChannelList, channelList, RecordKind, shardLife } from "@shardcast/wire";
import type { SourceRecord } from "../source.ts";

/** Headers of a client's message that went through Kafka. Anybody may produce such records by hand. */
export const PublishedHeader = {
	/** "text" or "binary". */
	kind: "shardcast-kind",
	/** Channels, as a JSON list; not there = everybody. */
	channels: "shardcast-channels",
	/** Who is not to get it back: cluster, shard and connection. */
	sender: "shardcast-sender",
} as const;

export interface Published {
	readonly kind: RecordKind;
	readonly channels: ChannelList;
	readonly sender: string | null;
}

export function publishedHeaders(kind: number, channels: readonly string[], sender: string): Record<string, string> {
	return {
		[PublishedHeader.kind]: kind === RecordKind.binary ? "binary" : "text",
		...(channels.length === 0 ? {} : { [PublishedHeader.channels]: JSON.stringify(channels) }),
		...(sender === "" ? {} : { [PublishedHeader.sender]: sender }),
	};
}

/** A connection of a shard of a cluster, as a header says it. */
export function senderText(cluster: string, slot: number, incarnation: number, connection: number): string {
	return `${cluster}/${slot}/${incarnation}/${connection}`;
}

/** Null when it is of another cluster, or no sender at all. */
export function parseSender(text: string, cluster: string): { readonly life: number; readonly connection: number } | null {
	if (!text.startsWith(`${cluster}/`)) return null;
	const [slot, incarnation, connection] = text
		.slice(cluster.length + 1)
		.split("/")
		.map(Number);
	if (![slot, incarnation, connection].every(Number.isSafeInteger)) return null;
	return { life: shardLife(slot!, incarnation!), connection: connection! >>> 0 };
}

/** Channel lists of client messages repeat; beyond this many all are forgotten. */
const cachedListsMax = 10_000;
const lists = new Map<string, ChannelList>();

/** Null for headers that make no sense. */
export function parsePublished(record: SourceRecord): Published | null {
	const kind = record.header(PublishedHeader.kind)?.toString();
	if (kind !== "text" && kind !== "binary") return null;
	const sender = record.header(PublishedHeader.sender)?.toString() ?? null;
	const names = record.header(PublishedHeader.channels)?.toString() ?? "[]";
	let channels = lists.get(names);
	if (channels === undefined) {
		try {
			channels = channelList(JSON.parse(names) as string[]);
		} catch {
			return null;
		}
		if (lists.size >= cachedListsMax) lists.clear();
		lists.set(names, channels);
	}
	return { kind: kind === "binary" ? RecordKind.binary : RecordKind.text, channels, sender };
}
