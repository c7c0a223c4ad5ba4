import type { Subscription } from "@shardcast/config";
import { type TopicMetadata, tellsTopicIds } from "../protocol/metadata-protocol.ts";
import type { TopicList } from "../source.ts";
import { innermost, type KafkajsCluster } from "./kafkajs-cluster.ts";

/** Errors that one topic brings upon the whole metadata request. */
const deniedError = "TOPIC_AUTHORIZATION_FAILED";
const topicErrors = ["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", deniedError];

/** Names of which the ids are remembered, also of topics that are gone. Beyond that all are forgotten, and only not counted as recreated. */
const namesMax = 10_000;

export interface TopicFinderEvents {
	/** A topic of this name was there before, and another has taken its place. Called once for each that does. */
	readonly onRecreated: (topic: string) => void;
}

/**
 * Finds the topics of a subscription, and so keeps the cluster's metadata fresh. By name only those are asked for; a pattern
 * needs the list of all topics. For brokers that do not tell topic ids kafkajs asks, which fails the whole request for one topic
 * that does not exist: then the names are asked for one by one and the missing ones left out, so that they do not keep the others
 * from being read.
 *
 * A topic that we may not read is denied, not missing: whether it is there may be hidden. Only until it is found once; if it is denied
 * later, fetching it says so, and reading goes on where it was.
 */
export class TopicFinder {
	readonly #cluster: KafkajsCluster;
	readonly #matches: (topic: string) => boolean;
	readonly #subscription: Subscription;
	readonly #events: TopicFinderEvents;
	/** Ids that each name has had, the present one last. */
	readonly #ids = new Map<string, Set<string>>();
	/** Topics that have been found, by id or, without one, by name. */
	readonly #readable = new Set<string>();
	#lookedMs: number | null = null;

	constructor(cluster: KafkajsCluster, matches: (topic: string) => boolean, subscription: Subscription, events: TopicFinderEvents) {
		this.#cluster = cluster;
		this.#matches = matches;
		this.#subscription = subscription;
		this.#events = events;
	}

	async find(): Promise<TopicList> {
		const previousLookMs = this.#lookedMs;
		const beganMs = Date.now();
		const { names, patterns } = this.#subscription;
		const denied = new Set(patterns.length > 0 ? await this.#findAll() : await this.#findNamed());
		const all = this.#cluster.brokerPool.metadata!.topicMetadata.filter(({ topic }) => this.#matches(topic));
		if (patterns.length > 0) for (const name of await this.#unreadable(all)) denied.add(name);
		for (const topic of all) if (topic.mayRead === false && !this.#isReadable(topic)) denied.add(topic.topic);
		const topics = all
			.filter(({ topic }) => !denied.has(topic))
			.map(({ topic, topicId, partitionMetadata }) => ({
				topic,
				topicId: this.#noteId(topic, topicId ?? null),
				partitions: partitionMetadata.length,
			}))
			.toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
		if (this.#readable.size > namesMax) this.#readable.clear();
		for (const topic of topics) this.#readable.add(topic.topicId ?? topic.topic);
		const missing = names.filter((name) => !denied.has(name) && !topics.some(({ topic }) => topic === name));
		this.#lookedMs = beganMs;
		return { topics, denied: [...denied].toSorted(), missing, previousLookMs };
	}

	/** Looks up what is asked for by name. @returns what of it is denied. */
	async #findNamed(): Promise<readonly string[]> {
		const { names } = this.#subscription;
		try {
			await this.#refresh(names);
			return this.#cluster.brokerPool.metadata!.denied ?? [];
		} catch (error) {
			if (!topicErrors.includes(innermost(error).type ?? "")) throw error;
		}
		const there: string[] = [];
		const denied: string[] = [];
		for (const name of names) {
			const error = await this.#errorOf(name);
			if (error === null) there.push(name);
			else if (error === deniedError) denied.push(name);
		}
		// Without any of ours: the list of all topics, for the sake of the brokers' addresses.
		await this.#refresh(there);
		return denied;
	}

	/** Looks up all topics, where those that we may not even see are not mentioned. @returns what is asked for by name and denied. */
	async #findAll(): Promise<readonly string[]> {
		await this.#refresh([]);
		const { topicMetadata } = this.#cluster.brokerPool.metadata!;
		const unseen = this.#subscription.names.filter((name) => !topicMetadata.some(({ topic }) => topic === name));
		const denied: string[] = [];
		for (const name of unseen) if ((await this.#errorOf(name)) === deniedError) denied.push(name);
		return denied;
	}

	/** Of topics that have not been found before, those that we may see and not read. */
	async #unreadable(topics: readonly TopicMetadata[]): Promise<readonly string[]> {
		const unknown = topics.filter((topic) => topic.mayRead === undefined && !this.#isReadable(topic)).map(({ topic }) => topic);
		if (unknown.length === 0) return [];
		const broker = await this.#cluster.brokerPool.findConnectedBroker();
		if (!tellsTopicIds(broker.versions)) return [];
		const { topicMetadata, denied = [] } = await broker.metadata(unknown);
		return [...denied, ...topicMetadata.filter(({ mayRead }) => mayRead === false).map(({ topic }) => topic)];
	}

	#isReadable({ topic, topicId }: TopicMetadata): boolean {
		return this.#readable.has(topicId ?? topic);
	}

	/** The topic's id; the one that we know already where this broker tells none, as while brokers are upgraded one after the other. */
	#noteId(topic: string, id: string | null): string | null {
		if (this.#ids.size > namesMax) this.#ids.clear();
		const ids = this.#ids.get(topic) ?? new Set();
		if (id === null) return [...ids].at(-1) ?? null;
		const isRecreated = ids.size > 0 && !ids.has(id);
		// A broker that is behind the others may tell the one before once more.
		ids.delete(id);
		ids.add(id);
		this.#ids.set(topic, ids);
		if (isRecreated) this.#events.onRecreated(topic);
		return id;
	}

	#refresh(topics: readonly string[]): Promise<void> {
		this.#cluster.targetTopics = new Set(topics);
		return this.#cluster.refreshMetadata();
	}

	/** What keeps the topic from being looked up; null = nothing. */
	async #errorOf(topic: string): Promise<string | null> {
		const broker = await this.#cluster.brokerPool.findConnectedBroker();
		try {
			const { denied = [] } = await broker.metadata([topic]);
			return denied.includes(topic) ? deniedError : null;
		} catch (error) {
			const type = innermost(error).type ?? "";
			if (topicErrors.includes(type)) return type;
			throw error;
		}
	}
}
