import { setTimeout as sleep } from "node:timers/promises";
import type { KafkaClient } from "@shardcast/testkit/kafka";
import { type Audience, channelName } from "../audience.ts";
import type { MessageSource } from "./message-source.ts";

/** Where the messages of a load test are produced to. */
export interface KafkaTarget {
	readonly brokers: string;
	readonly topic: string;
	readonly partitions: number;
}

interface Message {
	readonly partition: number;
	readonly key: string;
	readonly value: Buffer;
}

/** Messages that may wait for the broker's acknowledgement of those before them. */
const waitingMax = 20_000;

/**
 * Produces to Kafka, idempotent and acknowledged: what the cluster is to deliver is then certainly in the log, once. Each sender
 * has one partition, which keeps its order; the key is the channel. While one batch is under way the next gathers.
 */
export class KafkaMessageSource implements MessageSource {
	readonly #target: KafkaTarget;
	readonly #audience: Audience;
	#client: KafkaClient | null = null;
	#waiting: Message[] = [];
	#sending = false;
	#refused: { readonly reason: string; readonly count: number } | null = null;

	constructor(target: KafkaTarget, audience: Audience) {
		this.#target = target;
		this.#audience = audience;
	}

	async open(): Promise<void> {
		if (this.#client !== null) return;
		// Only now: all threads of all load tests load this module.
		const { connectKafka } = await import("@shardcast/testkit/kafka");
		this.#client = await connectKafka(this.#target.brokers);
	}

	send(sender: number, payload: Buffer): boolean {
		if (this.#waiting.length >= waitingMax || this.#refused !== null) return false;
		const channel = this.#audience.channelNumber(this.#audience.channelOfSender(sender));
		const key = channel < 0 ? "all" : channelName(channel);
		this.#waiting.push({ partition: sender % this.#target.partitions, key, value: payload });
		if (!this.#sending) void this.#run(this.#client!);
		return true;
	}

	refusals(): Readonly<Record<string, number>> {
		return this.#refused === null ? {} : { [this.#refused.reason]: this.#refused.count };
	}

	async flush(deadlineMs: number): Promise<void> {
		const endsMs = performance.now() + deadlineMs;
		while ((this.#sending || this.#waiting.length > 0) && performance.now() < endsMs) await sleep(5);
	}

	async close(): Promise<void> {
		await this.#client?.close();
	}

	async #run(client: KafkaClient): Promise<void> {
		this.#sending = true;
		while (this.#waiting.length > 0) {
			const batch = this.#waiting;
			this.#waiting = [];
			try {
				await client.producer.send({ topic: this.#target.topic, acks: -1, messages: batch });
			} catch (error) {
				// Whether the broker has them is not known, so nothing can be counted on from here.
				this.#refused = { reason: (error as Error).message, count: batch.length };
				break;
			}
		}
		this.#sending = false;
	}
}
