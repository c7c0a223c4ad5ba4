import type { MessagePort } from "node:worker_threads";
import type { Span } from "@shardcast/telemetry";
import type { ChannelHashKey } from "@shardcast/wire";
import type { HistoryError, HistoryPart, HistoryRequest } from "./history/history-messages.ts";
import type { IngestOptions } from "./ingest-options.ts";
import type { PartitionRoles, PartitionWithOffset, SourcePartition, StartRule, TopicList, TroubleKind } from "./source.ts";

/** The worker's start parameters. */
export interface IngestTask {
	readonly options: IngestOptions;
	readonly memory: SharedArrayBuffer;
	readonly rowsMax: number;
	readonly port: MessagePort;
	/** The key with which the shard hashes channel names. */
	readonly channelHashKey: ChannelHashKey;
	/** Whether this shard writes dead letters; see DeadLetters. */
	readonly writesDeadLetters: boolean;
	/** Records that must not be routed again, because the route function hung on them. */
	readonly poisoned: readonly { readonly row: number; readonly offset: number }[];
}

/** What is noted of records, for traces and for the log of slow messages. */
export interface Observed {
	/** Share of the records without a trace context that are traced; null = none is, nor those with one. */
	readonly traceSample: number | null;
	/** Whether records say how long they were in Kafka. */
	readonly waits: boolean;
}

/** A client's message on its way to Kafka. */
export interface OutgoingMessage {
	readonly id: number;
	readonly kind: number;
	readonly channels: readonly string[];
	readonly payload: Uint8Array;
	/** High priority. */
	readonly urgent: boolean;
	/** Trace context; absent = it is not traced. */
	readonly trace?: Uint8Array | undefined;
	/** Identifies the sender, which does not get its own message back. Also keeps the order of its messages. */
	readonly sender: string;
	/** By `monotonicMs`. Then the sender gets an error, and the worker no longer starts to write the message. */
	readonly expiresAtMs: number;
}

export type ToWorker =
	| { readonly type: "resolve"; readonly partitions: readonly (SourcePartition & StartRule)[] }
	| { readonly type: "assign"; readonly partitions: readonly PartitionWithOffset[] }
	| { readonly type: "revoke"; readonly rows: readonly number[] }
	/** Which partitions to read for other nodes, and which are read by them. */
	| { readonly type: "divide"; readonly roles: PartitionRoles }
	| { readonly type: "publish"; readonly messages: readonly OutgoingMessage[] }
	/** Read records that clients have missed; answered by `history`. */
	| { readonly type: "history"; readonly request: HistoryRequest }
	/** Read the route module again; keep the old one if that fails. */
	| { readonly type: "reloadRoute" }
	/** What to note of records from now on. */
	| { readonly type: "observe"; readonly observed: Observed }
	/** Write dead letters from now on. */
	| { readonly type: "writeDeadLetters" }
	/** Stop reading; answered by `halted`. */
	| { readonly type: "halt" }
	/** Commit what was delivered, close everything, end the task. */
	| { readonly type: "finish" };

export type FromWorker =
	| { readonly type: "topics"; readonly list: TopicList }
	| { readonly type: "resolved"; readonly partitions: readonly PartitionWithOffset[] }
	| { readonly type: "epoch"; readonly row: number; readonly epoch: number; readonly from: number }
	| { readonly type: "unresolved"; readonly rows: readonly number[]; readonly message: string }
	| { readonly type: "trouble"; readonly kind: TroubleKind; readonly message: string }
	| { readonly type: "healed"; readonly kind: TroubleKind }
	| { readonly type: "log"; readonly level: "info" | "warn"; readonly fields: object; readonly message: string }
	/** Spans of traced records; `dropped` = there were too many since the last ones. */
	| { readonly type: "spans"; readonly spans: readonly Span[]; readonly dropped: number; readonly limited: number }
	| { readonly type: "published"; readonly ids: readonly number[]; readonly error: string | null }
	| { readonly type: "history"; readonly id: number; readonly parts: readonly HistoryPart[]; readonly error: HistoryError | null }
	| { readonly type: "halted" };
