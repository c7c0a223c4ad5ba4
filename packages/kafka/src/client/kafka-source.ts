import { type Subscription, topicMatcher } from "@shardcast/config";
import { backoffMs, Pause } from "@shardcast/process";
import type { IngestMemory } from "../ingest-memory.ts";
import { FetchAnswers } from "../protocol/fetch-answers.ts";
import type { Divergence, FetchedPartition, FetchLimits, FetchTarget } from "../protocol/fetch-protocol.ts";
import { PartitionRelay } from "../relay/partition-relay.ts";
import type { RelayLink } from "../relay/relay-link.ts";
import type {
	PartitionRoles,
	PartitionWithOffset,
	Source,
	SourcePartition,
	SourceSink,
	StartPolicy,
	StartRule,
	TopicFound,
	TopicList,
	TopicOptions,
	TroubleKind,
} from "../source.ts";
import type { KafkaConnectionOptions } from "./connection-options.ts";
import { createCluster, type KafkajsCluster, rootCause } from "./kafkajs-cluster.ts";
import { type FetcherOwner, NodeFetcher } from "./node-fetcher.ts";
import { commitOffsets, findOffsets } from "./offsets.ts";
import { PartitionState } from "./partition-state.ts";
import { TopicFinder } from "./topic-finder.ts";

interface KafkaSourceOptions {
	readonly connection: KafkaConnectionOptions;
	readonly subscription: Subscription;
	/** Those that name topics of the subscription. */
	readonly topicOptions: TopicOptions;
	/** Where offsets are committed. */
	readonly group: string;
	/** Groups whose commits count for the start policy `committed`: the lowest offset wins. */
	readonly groupsToStartFrom: readonly string[];
	/** Unique name of this shardcast cluster. */
	readonly cluster: string;
	/** How often topics, partitions and leaders are looked up again. */
	readonly metadataAgeMs: number;
	readonly limits: FetchLimits;
	readonly backoffMsMax: number;
}

interface OtherNodes {
	readonly link: RelayLink;
	readonly memory: Pick<IngestMemory, "worker">;
	/** Monotonic; `performance.now` by default. */
	readonly nowMs?: () => number;
}

/** Kafka error codes in a fetch answer. */
const KafkaError = { offsetOutOfRange: 1, topicAuthorizationFailed: 29 } as const;
/** A partition without a leader in this many metadata requests is reported: with the pauses between them, after 1.5 s. */
const looksForLeader = 5;
/** Pause before retrying a partition that the user may not read. */
const deniedRetryMs = 2000;
/** A trouble that has not recurred for this long has ended. */
const quietMs = 10_000;

/**
 * Reads from Kafka over kafkajs connections, without kafkajs' consumer. It does not use the consumer group protocol, so there are no
 * sessions that expire and no rebalances. Offsets are still committed under a group's name, where the usual tools find them.
 * **Used by one thread.**
 *
 * One loop follows the metadata (topics, partitions, leaders), and one loop per broker fetches (NodeFetcher). A fetch loop ends when its
 * broker cannot be reached; the metadata loop restarts it after a growing pause.
 */
export class KafkaSource implements Source, FetcherOwner {
	readonly #options: KafkaSourceOptions;
	readonly #sink: SourceSink;
	readonly #answers: FetchAnswers;
	readonly #cluster: KafkajsCluster;
	readonly #topics: TopicFinder;
	/** Null when this node reads everything itself. */
	readonly #relay: PartitionRelay | null;
	readonly #states = new Map<number, PartitionState>();
	readonly #fetchers = new Map<string, Promise<void>>();
	readonly #pause = new Pause();
	#following: Promise<void> | null = null;
	#stopping = false;
	#attempt = 0;
	/** A leader has changed or a broker is gone: refresh the metadata soon. */
	#unsettled = false;
	/** Consecutive metadata requests in which a partition had no leader. */
	#leaderlessChecks = 0;
	#lastTopics = "";
	/** Time of the last trouble, for kinds that no success ends. */
	readonly #troubledMs = new Map<TroubleKind, number>();
	#someDenied = false;
	/** Topics whose records the user may not fetch, with the time of the last attempt. Bound: the assigned topics. */
	readonly #unfetchable = new Map<string, number>();

	/** @param others the connection to other nodes that read the same topics; null = there are none. */
	constructor(options: KafkaSourceOptions, sink: SourceSink, others: OtherNodes | null = null) {
		this.#options = options;
		this.#sink = sink;
		const stopping = () => this.#stopping;
		this.#relay = others === null ? null : new PartitionRelay({ ...others, sink, stopping, onFetchAgain: () => this.#startFetchers() });
		this.#answers = new FetchAnswers(options.limits.bytesMax);
		this.#cluster = createCluster(options.connection, this.#answers.socketFactory);
		this.#topics = new TopicFinder(this.#cluster, topicMatcher(options.subscription), options.subscription, {
			onRecreated: (topic) => sink.trouble("topicRecreated", `topic ${topic} was deleted and recreated; reading it from its first record`),
		});
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
		await this.#relay?.halt();
	}

	async close(): Promise<void> {
		await this.halt();
		this.#relay?.close();
		await this.#cluster.disconnect();
	}

	resolve(partitions: readonly (SourcePartition & StartRule)[]): Promise<readonly PartitionWithOffset[]> {
		return findOffsets(this.#cluster, this.#options.groupsToStartFrom, partitions, ({ topic, partition }, committed, to) =>
			this.#sink.trouble("offsetReset", outOfLog(committed, to), { topic, partition, offset: committed }),
		);
	}

	commit(offsets: readonly (SourcePartition & { readonly offset: number })[]): Promise<void> {
		const withEpochs = offsets.map((each) => ({ ...each, epoch: this.#states.get(each.row)?.epochAt(each.offset) ?? -1 }));
		return commitOffsets(this.#cluster, this.#options.group, this.#options.cluster, withEpochs);
	}

	assign(partitions: readonly PartitionWithOffset[]): void {
		for (const from of partitions) {
			const state = new PartitionState(from);
			this.#states.set(from.row, state);
			this.#findLeader(state);
			this.#relay?.assigned(state);
		}
		this.#startFetchers();
	}

	divide(roles: PartitionRoles): void {
		this.#relay?.divide(roles, this.#states.values());
	}

	fetched(state: PartitionState, asked: FetchTarget): void {
		state.checkedEpoch = asked.leaderEpoch;
	}

	taken(state: PartitionState, asked: FetchTarget, part: FetchedPartition): void {
		this.#relay?.passOn(state, asked, part);
	}

	revoke(rows: readonly number[]): void {
		for (const row of rows) {
			const state = this.#states.get(row);
			if (state === undefined) continue;
			// Fetchers check `live` before each record, so no more of its records are offered.
			state.live = false;
			this.#states.delete(row);
			this.#relay?.revoked(state);
			void this.#reportRevoked(state);
		}
	}

	async #reportRevoked(state: PartitionState): Promise<void> {
		await state.settled();
		while (!this.#sink.revoked(state)) await this.#sink.room();
	}

	partitionsOf(nodeId: string): PartitionState[] {
		return [...this.#states.values()].filter((state) => state.leader === nodeId && !state.followed);
	}

	async partitionTrouble(state: PartitionState, errorCode: number): Promise<void> {
		const where = { topic: state.topic, partition: state.partition, offset: state.position };
		state.rewind();
		if (errorCode === KafkaError.offsetOutOfRange) {
			const to = await this.#inRange(state);
			if (to === null) {
				// A leader also answers this if it does not know where the epoch of our last record ended.
				state.rewind(state.position, -1);
				state.retryAtMs = performance.now() + backoffMs(0, this.#options.backoffMsMax);
				return;
			}
			this.#sink.trouble("offsetReset", outOfLog(state.position, to), where);
			await this.#continueAt(state, to, -1);
			return;
		}
		if (errorCode === KafkaError.topicAuthorizationFailed) {
			this.#unfetchable.set(state.topic, performance.now());
			this.#reportDenied([state.topic], where);
			state.retryAtMs = performance.now() + deniedRetryMs;
			return;
		}
		// Any other error means that the leader or the topic has moved; the metadata shows where.
		state.ledBy(null);
		this.#unsettled = true;
		this.#pause.cut();
	}

	/**
	 * The new leader's log diverges from the old one's before `position`. Records that only the old leader had are lost; the new records in
	 * their place have not been delivered. Reading continues where the logs diverge, so nothing is delivered twice.
	 */
	async partitionDiverged(state: PartitionState, { epoch, endOffset }: Divergence): Promise<void> {
		const { topic, partition, position } = state;
		// The leader does not know where. Ask without the epoch: it then answers whether the offset exists.
		if (endOffset < 0) return state.rewind(position, -1);
		// Only records that were read ahead are affected, and none of them was delivered.
		if (endOffset >= position) return state.rewind();
		const lost = position - endOffset;
		const message = `a leader failed, and ${lost} records that no other broker had are lost (unclean election); continuing at ${endOffset}, where the logs diverge`;
		this.#sink.trouble("truncated", message, { topic, partition, offset: position });
		await this.#continueAt(state, endOffset, epoch);
	}

	async #continueAt(state: PartitionState, offset: number, epoch: number): Promise<void> {
		state.rewind(offset, epoch);
		while (state.live && !this.#stopping && !this.#sink.reset(state, offset)) await this.#sink.room();
	}

	/**
	 * Where to continue when `position` is not in the log; null when it is in the log after all.
	 * - Before the log's start: the records are gone, so at the start.
	 * - After its end, same topic: a leader failed and its last records are lost, or a commit was set by hand. All before the end was
	 *   delivered, so at the end.
	 * - After its end, without topic ids: it may be another topic of that name, of which nothing was delivered, so at the start.
	 */
	async #inRange(state: PartitionState): Promise<number | null> {
		const { row, topic, topicId, partition, position } = state;
		const ask = async (from: StartPolicy) =>
			(await findOffsets(this.#cluster, [], [{ row, topic, topicId, partition, from, newIfSinceMs: null }])).at(0)?.offset ?? position;
		const start = await ask("earliest");
		if (position < start || topicId === null) return start;
		const end = await ask("latest");
		return position > end ? end : null;
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
				// At least this pause between two metadata requests, however many errors leaders return.
				this.#unsettled = false;
				await new Promise((resolve) => setTimeout(resolve, backoffMs(this.#leaderlessChecks, this.#options.metadataAgeMs)));
			} else await this.#pause.sleep(this.#options.metadataAgeMs);
		}
	}

	async #refresh(): Promise<void> {
		if (!this.#cluster.isConnected()) await this.#cluster.connect();
		const list = await this.#topics.find();
		this.#sink.healed("credentials");
		for (const [kind, sinceMs] of this.#troubledMs) {
			if (performance.now() - sinceMs < quietMs) continue;
			this.#troubledMs.delete(kind);
			this.#sink.healed(kind);
		}
		this.#sink.looked(Date.now());
		this.#reportTopics(list);
		for (const state of this.#states.values()) this.#findLeader(state);
		this.#reportLeaderless(list.topics);
		this.#startFetchers();
	}

	/** Reports partitions that stay without a leader. An election takes only a moment and is not reported. */
	#reportLeaderless(found: readonly TopicFound[]): void {
		const isThere = ({ topic, topicId }: PartitionState) => found.some((each) => each.topic === topic && each.topicId === topicId);
		const leaderless = [...this.#states.values()].filter((state) => state.leader === null && isThere(state));
		this.#leaderlessChecks = leaderless.length === 0 ? 0 : this.#leaderlessChecks + 1;
		if (this.#leaderlessChecks < looksForLeader) this.#sink.healed("connection");
		else
			this.#sink.trouble(
				"connection",
				`${leaderless.length} partitions have no leader, such as ${leaderless[0]!.name}: a broker that holds them must return`,
			);
	}

	#reportTopics(list: TopicList): void {
		const { topics, denied, missing } = list;
		if (missing.length === 0) this.#sink.healed("topicMissing");
		else
			this.#sink.trouble(
				"topicMissing",
				`${namesOf("topic", missing)} ${missing.length === 1 ? "does" : "do"} not exist; create what is missing, or correct ${this.#optionsOf(missing)}`,
			);
		for (const [topic, triedMs] of this.#unfetchable) if (performance.now() - triedMs > quietMs) this.#unfetchable.delete(topic);
		if (denied.length > 0) this.#reportDenied(denied);
		else if (this.#someDenied && this.#unfetchable.size === 0) {
			this.#troubledMs.delete("authorization");
			this.#sink.healed("authorization");
		}
		this.#someDenied = denied.length > 0;
		const told = JSON.stringify([topics, denied, missing]);
		if (told === this.#lastTopics) return;
		this.#lastTopics = told;
		this.#sink.topicsFound(list);
	}

	#optionsOf(topics: readonly string[]): string {
		const naming = this.#options.topicOptions.filter(([, names]) => names.some((name) => topics.includes(name)));
		return naming.map(([option]) => option).join(" and ");
	}

	#reportDenied(topics: readonly string[], where?: { topic: string; partition: number; offset: number }): void {
		const all = [...new Set([...topics, ...this.#unfetchable.keys()])].toSorted();
		this.#sink.trouble(
			"authorization",
			`${namesOf("topic", all)} may not be read: grant Read to shardcast's user (or create it: brokers also report missing topics this way)`,
			where,
		);
		this.#troubledMs.set("authorization", performance.now());
	}

	#findLeader(state: PartitionState): void {
		const { metadata } = this.#cluster.brokerPool;
		const topic = metadata?.topicMetadata.find((found) => found.topic === state.topic && isSame(found.topicId, state.topicId));
		const { leader = -1, leaderEpoch } = topic?.partitionMetadata.find(({ partitionId }) => partitionId === state.partition) ?? {};
		state.ledBy(leader < 0 ? null : String(leader), leaderEpoch);
		// Before the first metadata answer there is no need to hurry.
		if (state.leader === null && metadata !== null) this.#unsettled = true;
	}

	#startFetchers(): void {
		if (this.#stopping) return;
		const leaders = new Set([...this.#states.values()].filter(({ followed }) => !followed).map((state) => state.leader));
		for (const nodeId of leaders) {
			if (nodeId === null || this.#fetchers.has(nodeId)) continue;
			const fetcher = new NodeFetcher(nodeId, this.#cluster, this.#answers, this, this.#sink, this.#options.limits);
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
			// The fetcher found no partitions; one may have been assigned since.
			if (this.partitionsOf(nodeId).length > 0) this.#startFetchers();
			return;
		}
		this.#report(error);
		for (const state of this.partitionsOf(nodeId)) state.ledBy(null);
		this.#unsettled = true;
		this.#pause.cut();
	}

	#report(error: unknown): void {
		if (this.#stopping) return;
		const inner = rootCause(error);
		const kind = kindOf(inner);
		if (kind === "protocol" || kind === "authorization") this.#troubledMs.set(kind, performance.now());
		this.#sink.trouble(kind, inner.message);
	}
}

const namesShown = 5;

/** "topic a", "topics a, b and 3 more". */
function namesOf(noun: string, names: readonly string[]): string {
	const shown = names.slice(0, namesShown).join(", ");
	const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : "";
	return `${noun}${names.length === 1 ? "" : "s"} ${shown}${more}`;
}

function outOfLog(offset: number, to: number): string {
	return `offset ${offset} is not in the log; continuing at ${to}`;
}

/** An unknown id matches any. */
function isSame(one: string | null | undefined, other: string | null): boolean {
	return one === other || one === null || one === undefined || other === null;
}

function kindOf(error: Error & { type?: string; code?: unknown }): TroubleKind {
	if (error.name === "KafkaJSSASLAuthenticationError" || error.type === "SASL_AUTHENTICATION_FAILED") return "credentials";
	if (/certificate|self.signed|SSL|TLS/i.test(error.message)) return "credentials";
	if (error.type?.endsWith("AUTHORIZATION_FAILED")) return "authorization";
	const names = ["KafkaJSConnectionError", "KafkaJSConnectionClosedError", "KafkaJSRequestTimeoutError", "KafkaJSBrokerNotFound"];
	return names.includes(error.name) || typeof error.code === "string" ? "connection" : "protocol";
}
