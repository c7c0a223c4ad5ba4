import type { KafkaConnectionOptions } from "./kafka/connection-options.ts";
import type { FetchLimits } from "./kafka/fetch-protocol.ts";
import type { StartPolicy } from "./source.ts";
import type { Subscription } from "./subscription.ts";

export type KafkaMode = "per-shard" | "shared";
export type PayloadFormat = "text" | "json" | "binary";

/** All that an ingest worker needs to know: plain data, made once from the settings and sent to the worker. */
export interface IngestOptions {
	readonly connection: KafkaConnectionOptions;
	readonly subscription: Subscription;
	readonly mode: KafkaMode;
	readonly from: StartPolicy;
	/** Where this shard commits. */
	readonly group: string;
	readonly groupsToStartFrom: readonly string[];
	readonly metadataAgeMs: number;
	readonly commitIntervalMs: number;
	readonly backoffMsMax: number;
	readonly limits: FetchLimits;
	/** Template of the channel name. */
	readonly channel: string;
	/** Absolute path of a route module, or null. */
	readonly routePath: string | null;
	readonly routeBudgetMs: number;
	readonly format: PayloadFormat;
	readonly payloadBytesMax: number;
	readonly deadLetterTopic: string | null;
	/** Topic to which clients' messages are produced, or null. */
	readonly publishTopic: string | null;
	/** Begins the sender of each message that this shard produces in its present life: cluster, slot, incarnation. */
	readonly senderPrefix: string;
}
