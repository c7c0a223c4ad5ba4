import type { ChannelList, Publishing, RecordKind } from "@shardcast/wire";

/** What a message may bring besides its payload. */
export interface MessageDetails {
	/** Who published it, for subscribers, as `encodePublisherInfo` writes it. Kafka does not carry it. */
	readonly info?: Uint8Array | undefined;
	/** For subscribers, and for their filters. */
	readonly tags?: Readonly<Record<string, string>> | undefined;
	/** A second message with the same key into the same channel, within five minutes, is answered like the first and not published. */
	readonly idempotencyKey?: string | undefined;
	/** Subscribers that take deltas may get the difference to the publication before. Without history, and through Kafka, it has no effect. */
	readonly delta?: boolean | undefined;
	/** It does not become part of the channel's history, and has no offset. */
	readonly skipHistory?: boolean | undefined;
	/** Whose share of the messages that wait it counts towards; if not given, the sender's. */
	readonly holder?: object;
}

/** Where messages go: the bus, or Kafka first. The bytes may be reused when a call returns, also while its promise is pending. */
export interface MessageSink {
	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing;
	/** As `publish`, but holds the message while there is no room, if it can. The details are kept until the message is out. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing;
}
