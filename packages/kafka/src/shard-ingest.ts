import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import type { BusLink, RecordLoop } from "@shardcast/bus";
import { type Config, ringCapacityBytes } from "@shardcast/config";
import type { KafkaGlance } from "@shardcast/control";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { kafkaMetrics } from "@shardcast/scoreboard";
import type { ProcessMetrics } from "@shardcast/telemetry";
import { type KafkaHistory, ShardKafkaHistory } from "./history/kafka-history.ts";
import type { Ingest, IngestLog } from "./host/ingest.ts";
import type { ChannelHistory } from "./host/logged-destination.ts";
import { kafkaGlance, kafkaReading } from "./ingest-metrics.ts";
import { type IngestOptions, ingestOptions } from "./ingest-options.ts";
import { KafkaPublisher } from "./kafka-publisher.ts";
import { OwnTail } from "./own-tail.ts";
import { openPositionFile, positionsInMemory } from "./positions/position-file.ts";

export interface ShardIngestParts {
	readonly config: Config;
	readonly slot: number;
	readonly incarnation: number;
	readonly shardsTotal: number;
	/** Null = there are no other shards, and no files. */
	readonly cluster: { readonly directory: ClusterDirectory; readonly board: Scoreboard } | null;
	readonly bus: BusLink;
	readonly log: IngestLog;
	/** Where health reads what is wrong. */
	readonly row: Pick<BoardRow, "troubles" | "troubleDetails" | "add">;
}

/** Clients are admitted once the start positions are known, or after this time without Kafka. */
const liveMsMax = 2000;

/** Kafka as the shard sees it: started before the shard serves, stopped before its clients are disconnected. */
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

	/** Takes messages on their way to Kafka; null when they go onto the bus. */
	readonly publisher: KafkaPublisher | null;

	/** For clients that come back; null when nothing is to be read for them. */
	readonly history: KafkaHistory | null;

	/** Null before `start`. */
	get running(): Ingest | null {
		return this.#ingest;
	}

	/** Returns early, with nothing started, when it is stopped meanwhile. */
	start(engine: RecordLoop, history: ChannelHistory): Promise<void> {
		this.#starting = this.#start(engine, history);
		return this.#starting;
	}

	async #start(engine: RecordLoop, history: ChannelHistory): Promise<void> {
		const { config, slot, incarnation, cluster, bus, log, row } = this.#parts;
		const file = cluster === null ? { table: positionsInMemory(), close: () => {} } : openPositionFile(cluster.directory.path);
		this.#close = file.close;
		const { table } = file;
		// Before this life puts anything onto the bus: what the life before it had begun is either out or not, for ever.
		const { position: tail } = new OwnTail(bus);
		table.intent(slot).settle(() => tail, slot);
		// Loaded here, so that a shard without Kafka does not carry it in its memory.
		const { alone, BoardView, BusDestination, Ingest, LocalDestination, LoggedDestination } = await import("./host/index.ts");
		if (this.#stopped) return file.close();
		const inner =
			this.options.mode === "shared" ? new BusDestination(bus, table.intent(slot), () => engine.committed()) : new LocalDestination(slot);
		const view = cluster === null ? null : new BoardView(cluster.directory, cluster.board);
		this.#close = () => {
			view?.close();
			file.close();
		};
		const destination = new LoggedDestination({
			inner,
			history,
			onTooLarge: (error) => {
				ingest.memory.host.add("logTooLarge");
				log.warn({ error: error.message }, "kafka: a record is not delivered: it is longer than the history of its channel takes");
			},
		});
		const ingest = new Ingest({
			options: this.options,
			slot,
			incarnation,
			table,
			cluster: view ?? alone,
			destination,
			ringCapacityBytes: ringCapacityBytes(config),
			wake: () => engine.wake(),
			log,
			onStatus: (troubles) => {
				row.troubleDetails = new Map([...troubles].filter(([, detail]) => detail !== ""));
				row.troubles = [...troubles.keys()];
			},
		});
		this.#ingest = ingest;
		this.#engine = engine;
		engine.addSource(ingest.reader);
		ingest.start();
		await ingest.live(liveMsMax);
	}

	/** Adds its metrics; to be called once it has started. */
	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		const ingest = this.#ingest;
		if (ingest !== null) metrics.addReading(kafkaMetrics, () => kafkaReading(ingest));
	}

	/** Null before `start`. */
	glance(): KafkaGlance | null {
		return this.#ingest === null ? null : kafkaGlance(this.#ingest);
	}

	/** The shard serves: it takes its share of the partitions now, not at the next look. */
	serving(): void {
		this.#ingest?.reconcile();
	}

	/** The route module has changed, and can be loaded. */
	reloadRoute(): void {
		this.#ingest?.reloadRoute();
	}

	/** Stops reading; resolves when everything read so far is delivered and committed. */
	async drain(deadlineMs: number): Promise<void> {
		await this.#ingest?.stop(deadlineMs);
	}

	/** May be called while it starts. Once this has resolved, nothing runs and nothing will start. */
	async stop(): Promise<void> {
		this.#stopped = true;
		// What is still being loaded looks at the mark when it is there. A start that failed has told so itself.
		await this.#ingest?.stop(0);
		await this.#starting?.catch(() => {});
		if (this.#ingest === null) return;
		this.#parts.row.troubles = [];
		this.#engine?.removeSource(this.#ingest.reader);
		this.#ingest = null;
		this.#close();
	}
}
