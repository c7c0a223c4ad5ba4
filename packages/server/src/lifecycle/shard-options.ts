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
import type { SharedRedis } from "../redis/shared-redis.ts";
import type { SessionEvents } from "../sessions/sessions.ts";

/** What a shard gets from whoever hosts it. */
export interface ShardOptions {
	readonly config: Config;
	readonly board: Scoreboard;
	/** Its `connectionsMax` is how many WebSockets this shard takes; whoever hosts it may change what it gives at any time. */
	readonly row: BoardRow;
	/** Clients that the open files of the process allow; Infinity = any number. */
	readonly connectionsFit: number;
	/** This shard's end of the bus; closed with it. */
	readonly bus: BusLink;
	/**
	 * Opens the logs of channels that keep a history, once; closed with the shard.
	 * @param committed to be called after each publication.
	 */
	readonly openHistory: (committed: () => void) => ChannelLog;
	/** For TLS, the first for clients without a known server name; none = connections are not encrypted. */
	readonly certificates: readonly Certificate[];
	/** Where it listens; null = it only gets connections handed over. */
	readonly address: Address | null;
	/** Through which connections are handed over; null = there is no balancer that could. */
	readonly handoff: Pick<DescriptorChannel, "receive" | "close"> | null;
	/** Knows our own balancer by what it shows when it forwards; null = nobody forwards. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** What addresses may still do this second, over all shards. */
	readonly rates: RateTable;
	/** Counts the connections of each address, over all shards; asked for when that is limited first. */
	readonly openAddresses: () => AddressTable;
	/** Redis, through which several machines are one; null = this is the only one. Closed with the shard. */
	readonly redis?: SharedRedis | null;
	/** Opens the ring in which the collector of webhooks hears of this shard's clients; asked for when there is a webhook first. */
	readonly openClientEvents: () => EventWriter;
	/** Kafka; null = it is not used. */
	readonly ingest: ShardIngest | null;
	readonly log: Log;
	/** CPU, memory and loop of the process that hosts this shard. */
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** Puts a question to all processes of the cluster. */
	readonly ask: Ask;
	/** Where this shard's features register what they have to say to questions. */
	readonly parts: PartAnswers;
	/** How long the handlers of one message may wait, in milliseconds; 10 s if not given. */
	readonly handlerDeadlineMs?: number;
	/** Where this shard's features add their metrics. */
	readonly metrics: Pick<ProcessMetrics, "addReading">;
	/** Told as clients come and go. */
	readonly events?: SessionEvents;
}
