import type { ChannelList, Publishing, RecordKind } from "@shardcast/wire";

/** Optional parts of a message, besides its payload. */
export interface MessageDetails {
	/** The publisher, for subscribers, encoded by `encodePublisherInfo`. Lost when the message goes through Kafka. */
	readonly info?: Uint8Array | undefined;
	/** Tags, for subscribers and their filters. */
	readonly tags?: Readonly<Record<string, string>> | undefined;
	/** A second message with the same key to the same channel within five minutes is not published and gets the same answer. */
	readonly idempotencyKey?: string | undefined;
	/** Subscribers with deltas may get the difference to the previous publication. No effect without history or through Kafka. */
	readonly delta?: boolean | undefined;
	/** The message does not become part of the channel's history, and has no offset. */
	readonly skipHistory?: boolean | undefined;
	/** Other nodes get the message by another way; it is not sent to them. */
	readonly nodeOnly?: boolean | undefined;
	/** High priority: it does not wait for the end of a pause or of a batch. No effect on the order of a channel with history, or through Kafka. */
	readonly urgent?: boolean | undefined;
	/** Trace context, encoded by `encodeTraceContext`. Lost where the durable store or Redis keeps the history. */
	readonly trace?: Uint8Array | undefined;
	/** Whose share of the held messages it counts towards; defaults to the sender. */
	readonly holder?: object;
}

/** Takes messages and passes them to the bus, or to Kafka first. The caller may reuse the bytes when a call returns, even while its promise is pending. */
export interface MessageSink {
	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing;
	/** Like `publish`, but holds the message while there is no room, if possible. Keeps the details until the message is published. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing;
}
