import { matcherOf, type Subscription } from "@shardcast/service";
import { backoffMs, Pause } from "../backoff.ts";
import type { PartitionWithOffset, Source, SourcePartition, SourceSink, StartPolicy, TopicFound, TroubleKind } from "../source.ts";
import type { KafkaConnectionOptions } from "./connection-options.ts";
import type { FetchLimits } from "./fetch-protocol.ts";
import { createCluster, innermost, type KafkajsCluster } from "./kafkajs-cluster.ts";
import { type FetcherOwner, NodeFetcher } from "./node-fetcher.ts";
import { commitOffsets, findOffsets } from "./offsets.ts";
import { PartitionState } from "./partition-state.ts";
import { TopicFinder } from "./topic-finder.ts";

export interface KafkaSourceOptions {
	readonly connection: KafkaConnectionOptions;
	readonly subscription: Subscription;
	/** Where offsets are committed. */
	readonly group: string;
	/** Whose commits count for `committed`: the lowest wins. */
	readonly groupsToStartFrom: readonly string[];
	/** How often topics, partitions and leaders are looked up anew. */
	readonly metadataAgeMs: number;
	readonly limits: FetchLimits;
	readonly backoffMsMax: number;
}

/** Kafka's error codes that a fetch can carry for one partition. */
const KafkaError = { offsetOutOfRange: 1, topicAuthorizationFailed: 29 } as const;

/**
 * Kafka by way of kafkajs' connections, without its consumer: no consumer group protocol, so no session to expire, no
 * rebalance to wait for and none to be thrown into. Offsets are still committed under a group's name, where the usual tools
 * find them. **Used by one thread.**
 *
 * Two kinds of loops: one follows the metadata (topics, partitions, leaders), and one per broker fetches (NodeFetcher). A broker
 * that cannot be reached ends its loop; the metadata loop starts it again after a pause that grows.
 */
export class KafkaSource implements Source, FetcherOwner {
	readonly #options: KafkaSourceOptions;
	readonly #sink: SourceSink;
	readonly #cluster: KafkajsCluster;
	readonly #topics: TopicFinder;
	readonly #states = new Map<number, PartitionState>();
	readonly #fetchers = new Map<string, Promise<void>>();
	readonly #pause = new Pause();
	#following: Promise<void> | null = null;
	#stopping = false;
	#attempt = 0;
	/** A leader has changed or a broker is gone: look at the metadata again soon. */
	#unsettled = false;
	#told = "";

	constructor(options: KafkaSourceOptions, sink: SourceSink) {
		this.#options = options;
		this.#sink = sink;
		this.#cluster = createCluster(options.connection);
		this.#topics = new TopicFinder(this.#cluster, matcherOf(options.subscription), options.subscription, (topic) =>
			sink.trouble("topicMissing", `topic ${topic} does not exist`),
		);
	}

	start(): void {
		this.#following ??= this.#follow();
	}

	stopping(): boolean {
		return this.#stopping;
	}

	async halt(): Promise<void> {
		this.#stopping = true;
		this.#pause.cut();
		await this.#following;
		await Promise.all(this.#fetchers.values());
	}

	async close(): Promise<void> {
		await this.halt();
		await this.#cluster.disconnect();
	}

	resolve(partitions: readonly (SourcePartition & { readonly from: StartPolicy })[]): Promise<readonly PartitionWithOffset[]> {
		return findOffsets(this.#cluster, this.#options.groupsToStartFrom, partitions);
	}

	commit(offsets: readonly PartitionWithOffset[]): Promise<void> {
		return commitOffsets(this.#cluster, this.#options.group, offsets);
	}

	assign(partitions: readonly PartitionWithOffset[]): void {
		for (const from of partitions) {
			const state = new PartitionState(from);
			this.#states.set(from.row, state);
			this.#findLeader(state);
		}
		this.#startFetchers();
	}

	revoke(rows: readonly number[]): void {
		for (const row of rows) {
			const state = this.#states.get(row);
			if (state === undefined) continue;
			// Fetchers look at `live` before each record, so nothing of it is offered from here on.
			state.live = false;
			this.#states.delete(row);
			void this.#tellRevoked(state);
		}
	}

	async #tellRevoked(state: PartitionState): Promise<void> {
		await state.settled();
		while (!this.#sink.revoked(state)) await this.#sink.room();
	}

	partitionsOf(nodeId: string): PartitionState[] {
		return [...this.#states.values()].filter((state) => state.leader === nodeId);
	}

	async partitionTrouble(state: PartitionState, errorCode: number): Promise<void> {
		const where = { topic: state.topic, partition: state.partition, offset: state.position };
		state.rewind();
		if (errorCode === KafkaError.offsetOutOfRange) {
			const [found] = await findOffsets(this.#cluster, [], [{ ...where, row: state.row, from: "earliest" }]);
			this.#sink.trouble("offsetReset", `offset ${state.position} is not in the log any more; going on at ${found!.offset}`, where);
			state.rewind(found!.offset);
			while (state.live && !this.#stopping && !this.#sink.reset(state, found!.offset)) await this.#sink.room();
			return;
		}
		if (errorCode === KafkaError.topicAuthorizationFailed)
			this.#sink.trouble("authorization", `topic ${state.topic} may not be read`, where);
		// Anything else means that leader or topic has moved; the metadata tells where to.
		state.leader = null;
		this.#unsettled = true;
		this.#pause.cut();
	}

	async #follow(): Promise<void> {
		while (!this.#stopping) {
			try {
				await this.#refresh();
				this.#attempt = 0;
			} catch (error) {
				this.#report(error);
				this.#attempt++;
				await this.#pause.sleep(backoffMs(this.#attempt, this.#options.backoffMsMax));
				continue;
			}
			if (this.#unsettled) {
				// At least this pause between two looks, however often leaders complain.
				this.#unsettled = false;
				await new Promise((resolve) => setTimeout(resolve, backoffMs(0, this.#options.backoffMsMax)));
			} else await this.#pause.sleep(this.#options.metadataAgeMs);
		}
	}

	async #refresh(): Promise<void> {
		if (!this.#cluster.isConnected()) await this.#cluster.connect();
		const { found, missing } = await this.#topics.find();
		this.#sink.healed("connection");
		this.#sink.healed("credentials");
		if (missing.length === 0) this.#sink.healed("topicMissing");
		this.#tell(found);
		for (const state of this.#states.values()) this.#findLeader(state);
		this.#startFetchers();
	}

	#tell(found: readonly TopicFound[]): void {
		const told = JSON.stringify(found);
		if (told === this.#told) return;
		this.#told = told;
		this.#sink.topicsFound(found);
	}

	#findLeader(state: PartitionState): void {
		// Before the first metadata this throws; the refresh that follows asks again.
		const metadata = this.#cluster.brokerPool.metadata === null ? [] : this.#cluster.findTopicPartitionMetadata(state.topic);
		const leader = metadata.find(({ partitionId }) => partitionId === state.partition)?.leader;
		state.leader = leader === undefined || leader < 0 ? null : String(leader);
		if (state.leader === null) this.#unsettled = this.#cluster.brokerPool.metadata !== null;
	}

	#startFetchers(): void {
		if (this.#stopping) return;
		const leaders = new Set([...this.#states.values()].map((state) => state.leader));
		for (const nodeId of leaders) {
			if (nodeId === null || this.#fetchers.has(nodeId)) continue;
			const fetcher = new NodeFetcher(nodeId, this.#cluster, this, this.#sink, this.#options.limits);
			const running = fetcher.run().then(
				() => this.#fetcherEnded(nodeId, null),
				(error: unknown) => this.#fetcherEnded(nodeId, error),
			);
			this.#fetchers.set(nodeId, running);
		}
	}

	#fetcherEnded(nodeId: string, error: unknown): void {
		this.#fetchers.delete(nodeId);
		if (this.#stopping) return;
		if (error === null) {
			// It saw no partition; one may have been assigned since.
			if (this.partitionsOf(nodeId).length > 0) this.#startFetchers();
			return;
		}
		this.#report(error);
		for (const state of this.partitionsOf(nodeId)) state.leader = null;
		this.#unsettled = true;
		this.#pause.cut();
	}

	#report(error: unknown): void {
		if (this.#stopping) return;
		const inner = innermost(error);
		this.#sink.trouble(kindOf(inner), inner.message);
	}
}

function kindOf(error: Error & { type?: string; code?: unknown }): TroubleKind {
	if (error.name === "KafkaJSSASLAuthenticationError" || error.type === "SASL_AUTHENTICATION_FAILED") return "credentials";
	if (/certificate|self.signed|SSL|TLS/i.test(error.message)) return "credentials";
	if (error.type?.endsWith("AUTHORIZATION_FAILED")) return "authorization";
	const names = ["KafkaJSConnectionError", "KafkaJSConnectionClosedError", "KafkaJSRequestTimeoutError", "KafkaJSBrokerNotFound"];
	return names.includes(error.name) || typeof error.code === "string" ? "connection" : "protocol";
}
