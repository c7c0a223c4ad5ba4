import type { ChannelList, RecordKind } from "@shardcast/wire";

/** Hears once what became of a pending message: null, or why it is lost. */
export type Settled = (error: string | null) => void;

/** Where messages go: the bus, or Kafka first. */
export interface MessageSink {
	/** Whether `settled` is ever called. */
	readonly answersLater: boolean;
	/** False = no room. "pending": `settled` is called later. */
	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, settled: Settled): boolean | "pending";
	/** As `publish`, but holds the message while there is no room, if it can. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, settled: Settled): boolean | "pending";
}
