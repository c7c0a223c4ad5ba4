import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import type { BusLink, RecordLoop } from "@shardcast/bus";
import { type Config, ringCapacityBytes } from "@shardcast/config";
import type { ClusterNodes, KafkaSummary } from "@shardcast/control";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { kafkaMetrics, showTroubles } from "@shardcast/scoreboard";
import type { ProcessMetrics } from "@shardcast/telemetry";
import { type KafkaHistory, ShardKafkaHistory } from "./history/kafka-history.ts";
import type { Ingest, IngestWatch } from "./host/ingest.ts";
import type { IngestLog } from "./host/ingest-log.ts";
import type { ChannelHistory } from "./host/logged-destination.ts";
import { kafkaReading, kafkaSummary } from "./ingest-metrics.ts";
import { type IngestOptions, ingestOptions } from "./ingest-options.ts";
import { KafkaPublisher } from "./kafka-publisher.ts";
import { OwnTail } from "./own-tail.ts";
import { openPositionFile, positionsInMemory } from "./positions/position-file.ts";

interface ShardIngestParts {
	readonly config: Config;
	readonly slot: number;
	readonly incarnation: number;
	readonly shardsTotal: number;
	/** Null when the shard runs alone, without files. */
	readonly cluster: { readonly directory: ClusterDirectory; readonly board: Scoreboard } | null;
	readonly bus: BusLink;
	readonly log: IngestLog;
	/** Whether a guard wants reading to pause; see `GuardWords.pauses`. */
	readonly isPaused: () => boolean;
	/** Health reads the troubles from here. */
	readonly row: Pick<BoardRow, "troubles" | "troubleDetails" | "add">;
}

/** Clients are admitted when the start positions are known, or after this time if Kafka does not answer. */
const liveMsMax = 2000;

/** The Kafka ingest of a shard. Start it before the shard serves; stop it before clients are disconnected. */
export class ShardIngest {
	readonly options: IngestOptions;
	readonly #parts: ShardIngestParts;
	#ingest: Ingest | null = null;
	#close: () => void = () => {};
	#engine: RecordLoop | null = null;

	#starting: Promise<void> | null = null;
	#stopped = false;

	private constructor(parts: ShardIngestParts, options: IngestOptions) {
		this.#parts = parts;
		this.options = options;
		this.history = options.recovery.recordsMax > 0 ? new ShardKafkaHistory(() => this.#ingest, options.recovery) : null;
		this.publisher = options.publishTopic === null ? null : new KafkaPublisher(() => this.#ingest, parts.row);
	}

	/** Null when the options name no brokers. */
	static create(parts: ShardIngestParts): ShardIngest | null {
		const { config, slot, shardsTotal, cluster } = parts;
		const name = cluster === null ? `single-${randomBytes(6).toString("hex")}` : basename(cluster.directory.path);
		const options = ingestOptions(config, { slot, shardsTotal, cluster: name });
		return options === null ? null : new ShardIngest(parts, options);
	}

	/** Writes messages to Kafka; null when messages go to the bus. */
	readonly publisher: KafkaPublisher | null;

	/** Records that reconnecting clients have missed; null when recovery from Kafka is off. */
	readonly history: KafkaHistory | null;

	/** Null before `start`. */
	get running(): Ingest | null {
		return this.#ingest;
	}

	/**
	 * Returns early, without starting anything, if `stop` is called meanwhile.
	 * @param onUrgent called after a record with high priority was put on the bus.
	 * @param watch what to note of records; absent = nothing.
	 * @param nodes asks for the nodes of the cluster; null = this one works alone.
	 */
	start(
		engine: RecordLoop,
		onUrgent: () => void,
		history: ChannelHistory,
		nodes: () => Promise<ClusterNodes | null>,
		watch?: IngestWatch,
	): Promise<void> {
		this.#starting = this.#start(engine, onUrgent, history, nodes, watch);
		return this.#starting;
	}

	async #start(
		engine: RecordLoop,
		onUrgent: () => void,
		history: ChannelHistory,
		nodes: () => Promise<ClusterNodes | null>,
		watch: IngestWatch | undefined,
	): Promise<void> {
		const { config, slot, incarnation, cluster, bus, log, row } = this.#parts;
		const file = cluster === null ? { table: positionsInMemory(), close: () => {} } : openPositionFile(cluster.directory.path);
		this.#close = file.close;
		const { table } = file;
		// Before this incarnation publishes: only now does the tail show whether the last record of the one before is on the bus.
		const { position: tail } = new OwnTail(bus);
		table.intent(slot).settle(() => tail, slot);
		// Loaded here, so that it uses no memory in a shard without Kafka.
		const { singleShardView, ScoreboardView, BusDestination, Ingest, LocalDestination, LoggedDestination } = await import(
			"./host/index.ts"
		);
		if (this.#stopped) return file.close();
		const inner =
			this.options.mode === "shared"
				? new BusDestination(bus, table.intent(slot), () => engine.committed(), onUrgent)
				: new LocalDestination(slot);
		const view = cluster === null ? null : new ScoreboardView(cluster.directory, cluster.board);
		this.#close = () => {
			view?.close();
			file.close();
		};
		const destination = new LoggedDestination({
			inner,
			history,
			onTooLarge: (error) => {
				ingest.memory.host.add("logTooLarge");
				log.warn({ error: error.message }, "kafka: a record is not delivered: it is too long for the history of its channel");
			},
		});
		const ingest = new Ingest({
			options: this.options,
			slot,
			incarnation,
			table,
			cluster: view ?? singleShardView,
			isPaused: this.#parts.isPaused,
			nodes,
			watch,
			destination,
			ringCapacityBytes: ringCapacityBytes(config),
			wake: () => engine.wake(),
			log,
			onStatus: (troubles) => showTroubles(row, "kafka", troubles),
		});
		this.#ingest = ingest;
		this.#engine = engine;
		engine.addSource(ingest.reader);
		ingest.start();
		await ingest.live(liveMsMax);
	}

	/** Adds the metrics of the ingest. Call after `start`. */
	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		const ingest = this.#ingest;
		if (ingest !== null) metrics.addReading(kafkaMetrics, () => kafkaReading(ingest));
	}

	/** Null before `start`. */
	summary(): KafkaSummary | null {
		return this.#ingest === null ? null : kafkaSummary(this.#ingest);
	}

	/** Call when the shard begins to serve: it takes its share of the partitions at once. */
	serving(): void {
		this.#ingest?.reconcile();
	}

	/** Call when the route module has changed and was found to load. */
	reloadRoute(): void {
		this.#ingest?.reloadRoute();
	}

	/** Stops reading; resolves when everything read so far is delivered and committed. */
	async drain(deadlineMs: number): Promise<void> {
		await this.#ingest?.stop(deadlineMs);
	}

	/** May be called during `start`. When it has resolved, nothing runs and nothing will start. */
	async stop(): Promise<void> {
		this.#stopped = true;
		// A start in progress checks `#stopped` after its import. A failed start has reported its own error.
		await this.#ingest?.stop(0);
		await this.#starting?.catch(() => {});
		if (this.#ingest === null) return;
		this.#parts.row.troubles = [];
		this.#engine?.removeSource(this.#ingest.reader);
		this.#ingest = null;
		this.#close();
	}
}
