import type { SourcePartition } from "../source.ts";

/** Asks the worker for what several channels have missed of one partition. Offsets are Kafka's. */
export interface HistoryRequest {
	readonly id: number;
	readonly partition: SourcePartition;
	readonly from: number;
	/** Not part of it. */
	readonly to: number;
	readonly channels: readonly { readonly name: string; readonly from: number }[];
	/** Of a channel that has more, at least so many of the newest are kept. */
	readonly recordsMax: number;
	/** About as many bytes are kept of one channel at most. */
	readonly bytesMax: number;
	readonly timeoutMs: number;
}

export interface HistoryPart {
	readonly name: string;
	/** From which on all are there: higher than what was asked for when there were too many. */
	readonly from: number;
	readonly count: number;
	/** See RecordPack. */
	readonly bytes: ArrayBuffer;
}

/** Why nothing was read. `gone`: Kafka does not have all of it any more. */
export type HistoryError = "gone" | "unavailable" | "late";
