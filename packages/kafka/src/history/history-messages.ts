import type { SourcePartition } from "../source.ts";

/** Asks the worker for records of one partition that clients of several channels have missed. Offsets are Kafka's. */
export interface HistoryRequest {
	readonly id: number;
	readonly partition: SourcePartition;
	readonly from: number;
	/** Exclusive. */
	readonly to: number;
	readonly channels: readonly { readonly name: string; readonly from: number }[];
	/** When a channel has more records than this, at least this many of the newest are returned. */
	readonly recordsMax: number;
	/** Approximate limit on the bytes returned for one channel. */
	readonly bytesMax: number;
	readonly timeoutMs: number;
}

export interface HistoryPart {
	readonly name: string;
	/** The part is complete from this offset on: higher than the requested one when there were too many records. */
	readonly from: number;
	readonly count: number;
	/** In the format of RecordPack. */
	readonly bytes: ArrayBuffer;
}

/** Why nothing was read. `gone`: Kafka no longer has all of the range. `late`: the read exceeded `timeoutMs`. */
export type HistoryError = "gone" | "unavailable" | "late";
