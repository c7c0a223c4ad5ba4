import type { ChannelLog, LogReader } from "@shardcast/channel-log";
import type { ChannelHistory } from "@shardcast/kafka";
import { incarnationId } from "@shardcast/wire";
import { DurableChannels } from "../../durable/durable-channels.ts";
import type { HistoryReader } from "../../durable/history-reader.ts";
import { shardDatabase } from "../../postgres/shard-database.ts";
import type { NoticeListeners } from "../../redis/notices.ts";
import { RedisChannels } from "../../redis/redis-channels.ts";
import type { Feature } from "../feature.ts";
import type { LiveConfig } from "../live-config.ts";
import type { ShardOptions } from "../shard-options.ts";

/** The subscriptions of this shard's clients, of all protocols. */
export interface ChannelSubscribers {
	/** Clients that want channels without naming them. */
	readonly listeners: NoticeListeners;
	/** All channels with subscribers, once for each provider of audiences. */
	subscribed(): Iterable<string>;
}

interface ShardChannelsParts {
	readonly options: ShardOptions;
	readonly live: LiveConfig;
	/** Called after each record written to the ring or to a log. */
	readonly onCommit: () => void;
	/** Called after each record with high priority. */
	readonly onUrgent: () => void;
	/** Not called before the start. */
	readonly subscribers: () => ChannelSubscribers;
}

/** Most bytes of a publication in Redis besides its payload: publisher and tags. */
const publicationOverheadBytes = 262_144;

/** Where the channels of a shard keep their history: the logs, the durable store and Redis. */
export class ShardChannels {
	readonly history: ChannelLog;
	/** This shard's reader of the logs. */
	readonly reader: LogReader;
	/** Null = no channel is durable. */
	readonly durable: DurableChannels | null;
	/** Null = there is only one node. */
	readonly redis: RedisChannels | null;
	/** In the order of the shard's list. */
	readonly features: readonly Feature[];
	readonly #live: LiveConfig;

	constructor(parts: ShardChannelsParts) {
		const { options, live, onCommit } = parts;
		const { row, bus, log } = options;
		this.#live = live;
		this.history = options.openHistory(onCommit);
		this.reader = this.history.reader(row.slot);
		const life = incarnationId(bus.member, row.incarnation);
		const database = shardDatabase(options);
		this.durable = DurableChannels.open({ live, history: this.history, database, counters: row, row, life, log });
		options.onOpened?.(() => this.durable?.stop());
		this.redis = this.#openRedis(parts, life);
		const logs: Feature = { name: "logs", stop: () => this.#closeLogs() };
		this.features = [logs, this.durable, this.redis].filter((feature) => feature !== null);
	}

	/** Reads the history of any channel, wherever it is kept. */
	get histories(): HistoryReader {
		return this.redis ?? this.durable ?? this.history;
	}

	/** What Kafka ingest needs to keep history. */
	get forKafka(): ChannelHistory {
		return {
			log: this.history,
			isUsed: () => this.#live.namespaces.keepHistory,
			limitsOf: (channel) => this.#live.namespaces.of(channel).history,
		};
	}

	#openRedis({ options, live, onCommit, onUrgent, subscribers }: ShardChannelsParts, life: number): RedisChannels | null {
		const { config, redis, board, row, bus, ingest } = options;
		if (redis == null) return null;
		return new RedisChannels({
			...{ redis, live, history: this.history, others: this.durable ?? this.history, board, row, life, bus, onCommit, onUrgent },
			isKafkas: ingest !== null,
			publicationBytesMax: config.maxPayloadBytes + publicationOverheadBytes,
			listeners: {
				want: (channel) => subscribers().listeners.want(channel),
				version: () => subscribers().listeners.version(),
			},
			subscribed: () => subscribers().subscribed(),
		});
	}

	#closeLogs(): void {
		this.reader.leave();
		this.history.close();
	}
}
