import { type ChannelList, channelList, RecordKind } from "@shardcast/wire";
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
