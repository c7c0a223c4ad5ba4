import { BusRecord, type ChannelList, channelList, everybody, incarnationId, RecordKind } from "@shardcast/wire";
import type { ProducedHeader } from "../client/produced-record.ts";
import { ChannelListCache } from "../route/channel-list-cache.ts";
import type { SourceRecord } from "../source.ts";
import { MessageHeader } from "./message-headers.ts";

/** Headers of a client's message that went through Kafka. Other producers may write such records, too. */
export const PublishedHeader = {
	/** "text" or "binary". */
	kind: "shardcast-kind",
	/** Channels, as a JSON list; absent = everybody. */
	channels: "shardcast-channels",
	/** The sender, which does not get the message back: cluster, shard and connection. */
	sender: "shardcast-sender",
	/** "high", or absent. */
	priority: MessageHeader.priority,
} as const;

interface PublishedMessage {
	readonly kind: RecordKind;
	readonly channels: ChannelList;
	readonly sender: string | null;
	readonly urgent: boolean;
}

export function publishedHeaders(kind: number, channels: readonly string[], sender: string, urgent = false): readonly ProducedHeader[] {
	const headers: ProducedHeader[] = [[PublishedHeader.kind, kind === RecordKind.binary ? "binary" : "text"]];
	if (channels.length > 0) headers.push([PublishedHeader.channels, JSON.stringify(channels)]);
	if (sender !== "") headers.push([PublishedHeader.sender, sender]);
	if (urgent) headers.push([PublishedHeader.priority, "high"]);
	return headers;
}

/** Formats a sender for the header: a connection of a shard of a cluster. */
export function senderText(cluster: string, slot: number, incarnation: number, connection: number): string {
	return `${cluster}/${slot}/${incarnation}/${connection}`;
}

/** Null when the text is not a sender, or one of another cluster. */
export function parseSender(text: string, cluster: string): { readonly life: number; readonly connection: number } | null {
	if (!text.startsWith(`${cluster}/`)) return null;
	const [slot, incarnation, connection] = text
		.slice(cluster.length + 1)
		.split("/")
		.map(Number);
	if (![slot, incarnation, connection].every(Number.isSafeInteger)) return null;
	return { life: incarnationId(slot!, incarnation!), connection: connection! >>> 0 };
}

/** 32 names of 255 bytes, each byte written as \u0000. */
const channelsHeaderBytesMax = BusRecord.channelsMax * (BusRecord.channelNameBytesMax * 6 + 3) + 2;
/** A cache: channel lists of client messages repeat. */
const lists = new ChannelListCache(listOf);

/** Null for invalid headers. */
export function parsePublished(record: SourceRecord): PublishedMessage | null {
	const kind = record.header(PublishedHeader.kind)?.toString();
	if (kind !== "text" && kind !== "binary") return null;
	const names = record.header(PublishedHeader.channels) ?? null;
	if (names !== null && names.length > channelsHeaderBytesMax) return null;
	const channels = names === null ? everybody : lists.of(names.toString());
	if (channels === null) return null;
	const sender = record.header(PublishedHeader.sender)?.toString() ?? null;
	const urgent = record.header(PublishedHeader.priority)?.toString() === "high";
	return { kind: kind === "binary" ? RecordKind.binary : RecordKind.text, channels, sender, urgent };
}

function listOf(json: string): ChannelList | null {
	try {
		const names: unknown = JSON.parse(json);
		if (!Array.isArray(names) || names.some((name) => typeof name !== "string")) return null;
		return channelList(names);
	} catch {
		// Not JSON, or not channels. There is nobody to report it to.
		return null;
	}
}
