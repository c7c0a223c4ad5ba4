import type { ChannelList, Publishing, RecordKind } from "@shardcast/wire";

/** Where messages go: the bus, or Kafka first. The bytes may be reused when a call returns, also while its promise is pending. */
export interface MessageSink {
	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array): Publishing;
	/** As `publish`, but holds the message while there is no room, if it can. @param info who published it; kept until the message is out. Kafka does not carry it. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, info?: Uint8Array): Publishing;
}
