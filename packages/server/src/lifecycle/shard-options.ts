import type { BusLink } from "@shardcast/bus";
import type { ChannelLog } from "@shardcast/channel-log";
import type { Address, Certificate, Config } from "@shardcast/config";
import type { Ask, PartAnswers } from "@shardcast/control";
import type { ShardIngest } from "@shardcast/kafka";
import type { AddressTable, RateTable } from "@shardcast/limits";
import type { DescriptorChannel } from "@shardcast/native";
import type { ProcessSample } from "@shardcast/process";
import type { BoardRow, Scoreboard } from "@shardcast/scoreboard";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import type { EventWriter } from "@shardcast/webhooks";
import type { SharedRedis } from "../redis/open-redis.ts";
import type { SessionEvents } from "../sessions/sessions.ts";

/** What a shard gets from its host. */
export interface ShardOptions {
	readonly config: Config;
	readonly board: Scoreboard;
	/** Its `connectionsMax` limits this shard's clients. The host may change it at any time. */
	readonly row: BoardRow;
	/** Most clients by the process's limit of open files; Infinity = no limit. */
	readonly connectionsFit: number;
	/** This shard's end of the bus. Closed with the shard. */
	readonly bus: BusLink;
	/**
	 * Opens the logs of channels with history. Called once; closed with the shard.
	 * @param committed must be called after each publication.
	 */
	readonly openHistory: (committed: () => void) => ChannelLog;
	/** Certificates for TLS; the first is for clients without a known server name. Empty = no TLS. */
	readonly certificates: readonly Certificate[];
	/** Address to listen on; null = it gets only connections handed over. */
	readonly address: Address | null;
	/** The handoff socket; null = there is no balancer. */
	readonly handoff: Pick<DescriptorChannel, "receive" | "close"> | null;
	/** Recognises the balancer by its token; null = there is none that forwards. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** Rate limits of addresses, shared by all shards. */
	readonly rates: RateTable;
	/** Opens the table of connections per address, shared by all shards. Called when they are first limited. */
	readonly openAddresses: () => AddressTable;
	/** Gets what closes a part that the shard has opened, for when a later part cannot be created. */
	readonly onOpened?: (close: () => unknown) => void;
	/** Redis, which connects several machines; null = only one machine. Closed with the shard. */
	readonly redis?: SharedRedis | null;
	/** Opens the ring for client events, which the sender of webhooks reads. Called when there is a webhook for the first time. */
	readonly openClientEvents: () => EventWriter;
	/** Kafka ingest; null = not used. */
	readonly ingest: ShardIngest | null;
	readonly log: Log;
	/** Measures CPU, memory and loop of the process. */
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** Puts a question to all processes of the cluster. */
	readonly ask: Ask;
	/** The features register their answers to questions here. */
	readonly parts: PartAnswers;
	/** Time limit for the handlers of a message, in milliseconds; 10 s by default. */
	readonly handlerDeadlineMs?: number;
	/** The features add their metrics here. */
	readonly metrics: Pick<ProcessMetrics, "addReading">;
	/** Called when clients connect and disconnect. */
	readonly events?: SessionEvents;
}
