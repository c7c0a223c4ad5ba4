import type { Subscription } from "@shardcast/config";
import { supportsTopicIds, type TopicMetadata } from "../protocol/metadata-protocol.ts";
import type { TopicList } from "../source.ts";
import { type KafkajsCluster, rootCause } from "./kafkajs-cluster.ts";

/** Errors of one topic with which kafkajs fails the whole metadata request. */
const deniedError = "TOPIC_AUTHORIZATION_FAILED";
const topicErrors = ["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", deniedError];

/** Most topic names whose ids are remembered, deleted topics included. Beyond it all are forgotten; the only effect is that a recreation may not be counted. */
const namesMax = 10_000;

interface TopicFinderEvents {
	/** Called once each time a topic was replaced by another one with the same name. */
	readonly onRecreated: (topic: string) => void;
}

/**
 * Finds the topics of a subscription, which also refreshes the cluster's metadata. Names are requested individually; a pattern requires the
 * list of all topics. If brokers do not report topic ids, kafkajs makes the request, and one missing topic fails it. Then the names are
 * requested one by one and missing ones are left out, so that the others can be read.
 *
 * A topic that the user may not read is denied, not missing: the broker may hide whether it exists. This applies until it has been found
 * once. If it is denied later, fetching reports that, and reading continues at its position afterwards.
 */
export class TopicFinder {
	readonly #cluster: KafkajsCluster;
	readonly #matches: (topic: string) => boolean;
	readonly #subscription: Subscription;
	readonly #events: TopicFinderEvents;
	/** Ids that each name has had, the current one last. */
	readonly #ids = new Map<string, Set<string>>();
	/** Topics that have been found: ids, or names where there is no id. */
	readonly #readable = new Set<string>();
	#listedMs: number | null = null;

	constructor(cluster: KafkajsCluster, matches: (topic: string) => boolean, subscription: Subscription, events: TopicFinderEvents) {
		this.#cluster = cluster;
		this.#matches = matches;
		this.#subscription = subscription;
		this.#events = events;
	}

	async find(): Promise<TopicList> {
		const previousLookMs = this.#listedMs;
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
		this.#listedMs = beganMs;
		return { topics, denied: [...denied].toSorted(), missing, previousLookMs };
	}

	/** Requests the subscription's names. @returns the denied ones. */
	async #findNamed(): Promise<readonly string[]> {
		const { names } = this.#subscription;
		try {
			await this.#refresh(names);
			return this.#cluster.brokerPool.metadata!.denied ?? [];
		} catch (error) {
			if (!topicErrors.includes(rootCause(error).type ?? "")) throw error;
		}
		const there: string[] = [];
		const denied: string[] = [];
		for (const name of names) {
			const error = await this.#errorOf(name);
			if (error === null) there.push(name);
			else if (error === deniedError) denied.push(name);
		}
		// If no name is left, this requests the list of all topics, to learn the brokers' addresses.
		await this.#refresh(there);
		return denied;
	}

	/** Requests all topics; the answer leaves out topics that the user may not see. @returns the subscription's names that are denied. */
	async #findAll(): Promise<readonly string[]> {
		await this.#refresh([]);
		const { topicMetadata } = this.#cluster.brokerPool.metadata!;
		const unseen = this.#subscription.names.filter((name) => !topicMetadata.some(({ topic }) => topic === name));
		const denied: string[] = [];
		for (const name of unseen) if ((await this.#errorOf(name)) === deniedError) denied.push(name);
		return denied;
	}

	/** Topics not found before that the user may see but not read. */
	async #unreadable(topics: readonly TopicMetadata[]): Promise<readonly string[]> {
		const unknown = topics.filter((topic) => topic.mayRead === undefined && !this.#isReadable(topic)).map(({ topic }) => topic);
		if (unknown.length === 0) return [];
		const broker = await this.#cluster.brokerPool.findConnectedBroker();
		if (!supportsTopicIds(broker.versions)) return [];
		const { topicMetadata, denied = [] } = await broker.metadata(unknown);
		return [...denied, ...topicMetadata.filter(({ mayRead }) => mayRead === false).map(({ topic }) => topic)];
	}

	#isReadable({ topic, topicId }: TopicMetadata): boolean {
		return this.#readable.has(topicId ?? topic);
	}

	/** The topic's id. If this broker reports none, as during a rolling upgrade, the last known one. */
	#noteId(topic: string, id: string | null): string | null {
		if (this.#ids.size > namesMax) this.#ids.clear();
		const ids = this.#ids.get(topic) ?? new Set();
		if (id === null) return [...ids].at(-1) ?? null;
		const isRecreated = ids.size > 0 && !ids.has(id);
		// A broker that lags behind may report the previous id again.
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

	/** The error with which the topic's metadata request fails; null = none. */
	async #errorOf(topic: string): Promise<string | null> {
		const broker = await this.#cluster.brokerPool.findConnectedBroker();
		try {
			const { denied = [] } = await broker.metadata([topic]);
			return denied.includes(topic) ? deniedError : null;
		} catch (error) {
			const type = rootCause(error).type ?? "";
			if (topicErrors.includes(type)) return type;
			throw error;
		}
	}
}
