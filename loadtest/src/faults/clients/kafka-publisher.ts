import type { KafkaClient } from "@shardcast/testkit/kafka";
import type { NumberedSource } from "./publisher.ts";

const everyMs = 100;

/** Produces 0, 1, 2, … to the one partition of a topic, whose name is that of the channel. The producer repeats by itself, and Kafka keeps one of each. */
export class KafkaPublisher implements NumberedSource {
	readonly channel: string;
	acknowledged = -1;
	readonly #client: KafkaClient;
	readonly #topic: string;
	#done: Promise<void> | null = null;
	#isStopped = false;

	constructor(client: KafkaClient, topic: string, channel: string) {
		this.#client = client;
		this.#topic = topic;
		this.channel = channel;
	}

	start(): void {
		this.#done ??= this.#produce();
	}

	async stop(): Promise<void> {
		this.#isStopped = true;
		await this.#done;
	}

	async #produce(): Promise<void> {
		for (let number = 0; !this.#isStopped; number++) {
			// One after the other: a later send could overtake one that is repeated.
			while (!(await this.#once(number))) if (this.#isStopped) return;
			this.acknowledged = number;
			await new Promise((resolve) => setTimeout(resolve, everyMs));
		}
	}

	async #once(number: number): Promise<boolean> {
		try {
			await this.#client.producer.send({ topic: this.#topic, acks: -1, messages: [{ partition: 0, value: String(number) }] });
			return true;
		} catch {
			// The broker is away for longer than the producer's own patience.
			await new Promise((resolve) => setTimeout(resolve, everyMs));
			return false;
		}
	}
}
