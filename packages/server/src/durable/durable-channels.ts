import type { MessageDetails } from "@shardcast/bus";
import type { ChannelLog, History, HistoryLimits, LogHistoryOptions, LogReader, Position, Publication } from "@shardcast/channel-log";
import type { Namespaces } from "@shardcast/channels";
import type { Config } from "@shardcast/config";
import { postgresStoreMetrics } from "@shardcast/control";
import { type DurableStore, EmbeddedStore, lateMax, PostgresStore, StoreError } from "@shardcast/durable-store";
import { StartupError } from "@shardcast/process";
import { type BoardRow, type Counters, showTroubles } from "@shardcast/scoreboard";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import { monotonicMs, type PublishResult, publishFull, type RecordKind } from "@shardcast/wire";
import type { Feature } from "../lifecycle/feature.ts";
import { withinDeadline } from "../lifecycle/within-deadline.ts";
import type { ShardDatabase } from "../postgres/shard-database.ts";
import type { HistoryBroker, HistoryReader } from "./history-reader.ts";
import { epochIn, Mirror } from "./mirror.ts";
import { OlderPublications } from "./older-publications.ts";
import { publicationOf, StoreBroker } from "./store-broker.ts";
import { StreamReads } from "./stream-reads.ts";

interface DurableChannelsParts {
	/** Read at each use. */
	readonly live: { readonly config: Config; readonly namespaces: Namespaces };
	readonly history: Pick<ChannelLog, "position" | "mirror" | "history" | "publish" | "once">;
	readonly counters: Pick<Counters, "add" | "set">;
	/** Where health finds the troubles of this shard. */
	readonly row: Pick<BoardRow, "troubles" | "troubleDetails">;
	/** Identifies this shard and its present run, see `incarnationId`. */
	readonly life: number;
	/** Where durable channels are if there is no folder for them; null or absent = nowhere. */
	readonly database?: ShardDatabase | null;
	readonly log: Pick<Log, "info" | "error">;
}

/** What only a store in PostgreSQL has. */
interface Remote {
	readonly store: PostgresStore;
	readonly isFirst: () => boolean;
	readonly broker: StoreBroker;
	readonly reads: StreamReads;
	readonly older: OlderPublications;
}

const idempotencyTtlMs = 300_000;
const unacknowledged: PublishResult = { outcome: "unacknowledged", detail: "the durable store could not be written" };

/**
 * Channels of namespaces with `durable`: a publication is stored before it is answered, and the history survives a restart of the cluster. The
 * store decides order and offsets; the logs in memory bring publications to the shards.
 */
export class DurableChannels implements Feature, HistoryReader {
	readonly name = "durable";
	readonly store: DurableStore;
	readonly #parts: DurableChannelsParts;
	readonly #mirror: Mirror;
	/** Null = the store is a file of this machine. */
	readonly #remote: Remote | null;
	#failedMs = Number.NEGATIVE_INFINITY;
	#unwritten = 0;
	#sweeping = false;

	/** Whether a namespace is durable. */
	static isUsed(config: Config): boolean {
		return [config.channelWithoutNamespace, ...config.channelNamespaces].some(({ durable }) => durable);
	}

	/** Null without a place for the store, or if it is PostgreSQL and no namespace is durable. @throws StartupError with a one-line message that says what to do. */
	static open(parts: DurableChannelsParts): DurableChannels | null {
		const { config } = parts.live;
		if (config.durableStorePath === "" && (parts.database == null || !DurableChannels.isUsed(config))) return null;
		try {
			return new DurableChannels(parts);
		} catch (error) {
			if (!(error instanceof StoreError)) throw error;
			throw new StartupError(error.message, { exitStatus: 2, cause: error });
		}
	}

	private constructor(parts: DurableChannelsParts) {
		const { live, history: log, database } = parts;
		this.#parts = parts;
		const limits = { bytesMax: () => live.config.durableStoreBytesMax, positionsMax: () => live.config.durablePositionsMax };
		const folder = live.config.durableStorePath;
		this.#remote = folder === "" ? this.#openRemote(database!, limits) : null;
		this.store = this.#remote?.store ?? EmbeddedStore.open({ folder, ...limits });
		this.#mirror = new Mirror({ store: this.store, log, failed: this.failed });
	}

	#openRemote(
		{ options, isFirst }: ShardDatabase,
		limits: { readonly bytesMax: () => number; readonly positionsMax: () => number },
	): Remote {
		const { live, history: log } = this.#parts;
		const nowMs = monotonicMs;
		const store = new PostgresStore({
			options,
			...limits,
			nowMs,
			onStored: (channel) => this.#stored(channel),
			onProblem: (problem) => this.#showProblem(problem),
			log: this.#parts.log,
		});
		const metaTtlMs = (channel: string) => this.#limitsOf(channel)?.metaTtlMs ?? live.config.channelHistoryMetaTtlMs;
		const broker = new StoreBroker({ store, metaTtlMs, failed: this.failed });
		const reads = new StreamReads({ broker, nowMs });
		return { store, isFirst, broker, reads, older: new OlderPublications({ log, reads }) };
	}

	/** Logs at most once a second. */
	readonly failed = (error: unknown): void => {
		this.#parts.counters.add("durableFailures", 1);
		const nowMs = performance.now();
		if (nowMs - this.#failedMs < 1000) return;
		this.#failedMs = nowMs;
		// PostgreSQL's problem is logged once, by the connection.
		if (this.#remote?.store.problem == null) this.#parts.log.error({ error }, `durable channels: ${(error as Error).message}`);
	};

	has(channel: string): boolean {
		return this.#limitsOf(channel) !== null;
	}

	/** Settles when the publication is stored. Later ones of the same channel wait for it. */
	async publish(
		kind: RecordKind,
		id: number,
		channel: string,
		payload: Uint8Array,
		limits: HistoryLimits,
		{ info, tags, idempotencyKey: key }: MessageDetails = {},
	): Promise<PublishResult> {
		const { counters, life } = this.#parts;
		const data = new Uint8Array(payload);
		try {
			const known = await this.#mirror.ensure(channel, limits);
			// The store keeps some publications beyond their limit, for consumers that are late.
			if (known === null || this.#mirror.behind(channel, known) > lateMax / 2) return this.#refused();
			const stored = await this.store.publish(channel, {
				kind,
				data,
				history: { size: limits.size, ttlMs: limits.ttlMs, metaTtlMs: limits.metaTtlMs },
				...(info && { info }),
				...(tags && { tags }),
				senderId: id,
				senderLife: id === 0 ? 0 : life,
				...(key !== undefined && { idempotency: { key, ttlMs: idempotencyTtlMs } }),
			});
			if (stored === "full") return this.#refused();
			this.#mirror.due(channel, limits);
			const position: Position = { offset: stored.offset, epoch: epochIn(stored.channel) };
			if (stored.duplicate) return { outcome: "accepted", position, duplicate: true };
			counters.add("messagesIn", 1);
			counters.add("bytesIn", data.length);
			return { outcome: "accepted", position };
		} catch (error) {
			this.failed(error);
			return unacknowledged;
		}
	}

	/** Like the method of the logs, for all channels. */
	position(channel: string, asOf?: LogReader): Position | null {
		const limits = this.#limitsOf(channel);
		if (limits === null) return this.#parts.history.position(channel, asOf);
		const stored = this.#mirror.known(channel);
		if (stored === null) {
			this.#mirror.ensure(channel, limits).catch(this.failed);
			return null;
		}
		const epoch = epochIn(stored);
		if (asOf === undefined) return { offset: stored.last, epoch };
		const delivered = this.#parts.history.position(channel, asOf);
		// This shard has not reached the log's last entry about the channel yet.
		return delivered === null || delivered.offset === 0 || delivered.epoch !== epoch ? null : delivered;
	}

	/** Like the method of the logs, for all channels. Without `since`, ask the broker if there is one. */
	history(channel: string, options: LogHistoryOptions = {}): History | null {
		if (!this.has(channel)) return this.#parts.history.history(channel, options);
		const { since, limit = Number.MAX_SAFE_INTEGER, reverse = false, asOf } = options;
		const position = this.position(channel, asOf);
		if (position === null) return null;
		const none: History = { publications: [], position };
		if (limit <= 0 || (since !== undefined && since.epoch !== position.epoch)) return none;
		const { store } = this;
		const most = Math.min(limit, 1_000_000);
		if (store instanceof EmbeddedStore) {
			const stored = reverse
				? store.readReverse(channel, Math.min(since?.offset ?? Number.MAX_SAFE_INTEGER, position.offset + 1), most)
				: store.read(channel, since?.offset ?? 0, position.offset, most);
			return { publications: stored.map(publicationOf), position };
		}
		if (since === undefined || position.offset - since.offset > limit) return none;
		const publications = this.between(channel, since.offset, position, most);
		return publications === null ? null : { publications: publications === "gone" ? [] : publications, position };
	}

	/**
	 * Publications of a durable channel after offset `from`, up to a position and a limit. @param most the most that are worth reading at once.
	 * @returns null = ask again in a later turn, "gone" = the next one is no longer kept.
	 */
	between(channel: string, from: number, { offset, epoch }: Position, limit: number, most = limit): readonly Publication[] | "gone" | null {
		const to = Math.min(offset, from + limit);
		if (to <= from) return [];
		if (this.#remote !== null) return this.#remote.older.between({ channel, epoch }, from, to, most);
		const stored = (this.store as EmbeddedStore).read(channel, from, to, limit);
		return stored[0]?.offset === from + 1 ? stored.map(publicationOf) : "gone";
	}

	broker(channel: string): HistoryBroker | null {
		return this.#remote !== null && this.has(channel) ? this.#remote.broker : null;
	}

	/** Makes the channel known to the log. False = not in time, or the store is full. */
	async ensure(channel: string): Promise<boolean> {
		const limits = this.#limitsOf(channel);
		return limits !== null && (await this.#mirror.ensure(channel, limits)) !== null;
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		if (this.#remote === null) return;
		const { store } = this.#remote;
		metrics.addReading(postgresStoreMetrics, () => ({ ...store.counts, isConnected: store.problem === null, lost: store.lost }));
	}

	everySecond(): void {
		const { counters } = this.#parts;
		const { positions } = this.store;
		this.#remote?.reads.everySecond();
		this.#remote?.store.follow(this.#remote.isFirst());
		this.#mirror.everySecond();
		counters.set("durableBytes", this.store.bytes);
		counters.set("durablePositions", positions.count);
		counters.add("durableFailures", positions.failures - this.#unwritten);
		this.#unwritten = positions.failures;
		if (this.#sweeping) return;
		this.#sweeping = true;
		this.store
			.sweep()
			.catch(this.failed)
			.finally(() => {
				this.#sweeping = false;
			});
	}

	/** The outbox has another connection, which may work while this one is refused. */
	#showProblem(problem: string | null): void {
		showTroubles(this.#parts.row, "durable", new Map(problem === null ? [] : [["durableConnection", problem]]));
	}

	drain(leftMs: number): Promise<void> {
		return withinDeadline(this.store.positions.flush(), leftMs);
	}

	stop(): Promise<void> {
		return this.store.close();
	}

	/** A process has stored something. */
	#stored(channel: string | null): void {
		if (channel === null) {
			this.#mirror.compareAll();
			return;
		}
		const limits = this.#limitsOf(channel);
		// Offset 0: nobody on this machine has used it.
		if (limits !== null && this.#parts.history.position(channel)?.offset !== 0) this.#mirror.due(channel, limits);
	}

	#limitsOf(channel: string): HistoryLimits | null {
		const { options, history } = this.#parts.live.namespaces.of(channel);
		return options.durable ? history : null;
	}

	#refused(): PublishResult {
		this.#parts.counters.add("backpressured", 1);
		return publishFull;
	}
}
