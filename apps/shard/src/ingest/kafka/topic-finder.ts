import type { Subscription } from "@shardcast/service";
import type { TopicFound } from "../source.ts";
import { innermost, type KafkajsCluster } from "./kafkajs-cluster.ts";

/** Errors that one topic brings upon the whole metadata request. */
const topicErrors = ["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "TOPIC_AUTHORIZATION_FAILED"];

/** Names of which the ids are remembered, also of topics that are gone. Beyond that all are forgotten, and only not counted as made anew. */
const namesMax = 10_000;

export interface TopicFinderEvents {
	readonly onMissing: (topic: string) => void;
	/** A topic of this name was there before, and another has taken its place. Called once for each that does. */
	readonly onAnew: (topic: string) => void;
}

/**
 * Finds the topics of a subscription, and so keeps the cluster's metadata fresh. By name only those are asked for; a pattern
 * needs the list of all topics. For brokers that do not tell topic ids kafkajs asks, which fails the whole request for one topic
 * that does not exist: then the names are asked for one by one and the missing ones left out, so that they do not keep the others
 * from being read.
 */
export class TopicFinder {
	readonly #cluster: KafkajsCluster;
	readonly #matches: (topic: string) => boolean;
	readonly #subscription: Subscription;
	readonly #events: TopicFinderEvents;
	/** Ids that each name has had, the present one last. */
	readonly #ids = new Map<string, Set<string>>();

	constructor(cluster: KafkajsCluster, matches: (topic: string) => boolean, subscription: Subscription, events: TopicFinderEvents) {
		this.#cluster = cluster;
		this.#matches = matches;
		this.#subscription = subscription;
		this.#events = events;
	}

	async find(): Promise<{ found: TopicFound[]; missing: string[] }> {
		if (this.#subscription.patterns.length > 0) await this.#refresh([]);
		else {
			try {
				await this.#refresh(this.#subscription.names);
			} catch (error) {
				if (!topicErrors.includes(innermost(error).type ?? "")) throw error;
				const there: string[] = [];
				for (const name of this.#subscription.names) if (await this.#exists(name)) there.push(name);
				// Without any of ours: the list of all topics, for the sake of the brokers' addresses.
				await this.#refresh(there);
			}
		}
		const { topicMetadata } = this.#cluster.brokerPool.metadata!;
		const found = topicMetadata
			.filter(({ topic }) => this.#matches(topic))
			.map(({ topic, topicId, partitionMetadata }) => ({
				topic,
				topicId: this.#noteId(topic, topicId ?? null),
				partitions: partitionMetadata.length,
			}))
			.toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
		const missing = this.#subscription.names.filter((name) => !found.some(({ topic }) => topic === name));
		for (const name of missing) this.#events.onMissing(name);
		return { found, missing };
	}

	/** The topic's id; the one that we know already where this broker tells none, as while brokers are upgraded one after the other. */
	#noteId(topic: string, id: string | null): string | null {
		if (this.#ids.size > namesMax) this.#ids.clear();
		const ids = this.#ids.get(topic) ?? new Set();
		if (id === null) return [...ids].at(-1) ?? null;
		const isAnew = ids.size > 0 && !ids.has(id);
		// A broker that is behind the others may tell the one before once more.
		ids.delete(id);
		ids.add(id);
		this.#ids.set(topic, ids);
		if (isAnew) this.#events.onAnew(topic);
		return id;
	}

	#refresh(topics: readonly string[]): Promise<void> {
		this.#cluster.targetTopics = new Set(topics);
		return this.#cluster.refreshMetadata();
	}

	async #exists(topic: string): Promise<boolean> {
		const broker = await this.#cluster.brokerPool.findConnectedBroker();
		try {
			await broker.metadata([topic]);
			return true;
		} catch (error) {
			if (topicErrors.includes(innermost(error).type ?? "")) return false;
			throw error;
		}
	}
}
