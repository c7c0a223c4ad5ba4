import type { Subscription } from "@shardcast/service";
import type { TopicFound } from "../source.ts";
import { innermost, type KafkajsCluster } from "./kafkajs-cluster.ts";

/** Errors that one topic brings upon the whole metadata request. */
const topicErrors = ["UNKNOWN_TOPIC_OR_PARTITION", "INVALID_TOPIC_EXCEPTION", "TOPIC_AUTHORIZATION_FAILED"];

/**
 * Finds the topics of a subscription, and so keeps the cluster's metadata fresh. By name only those are asked for; a pattern
 * needs the list of all topics. kafkajs fails the whole request for one topic that does not exist, so then the names are
 * asked for one by one and the missing ones left out: they do not keep the others from being read.
 */
export class TopicFinder {
	readonly #cluster: KafkajsCluster;
	readonly #matches: (topic: string) => boolean;
	readonly #subscription: Subscription;
	readonly #onMissing: (topic: string) => void;

	constructor(
		cluster: KafkajsCluster,
		matches: (topic: string) => boolean,
		subscription: Subscription,
		onMissing: (topic: string) => void,
	) {
		this.#cluster = cluster;
		this.#matches = matches;
		this.#subscription = subscription;
		this.#onMissing = onMissing;
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
			.map(({ topic, partitionMetadata }) => ({ topic, partitions: partitionMetadata.length }))
			.toSorted((a, b) => (a.topic < b.topic ? -1 : 1));
		const missing = this.#subscription.names.filter((name) => !found.some(({ topic }) => topic === name));
		for (const name of missing) this.#onMissing(name);
		return { found, missing };
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
