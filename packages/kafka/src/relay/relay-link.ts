import type { Redis } from "@shardcast/redis";
import type { SourcePartition } from "../source.ts";

/** Connects the nodes that share the work of reading. At most once: a message may be lost, and nothing depends on it. */
export interface RelayLink {
	/** False = it is not sent: Redis cannot be reached, or too much is waiting. */
	send(partition: SourcePartition, message: Buffer): boolean;
	/** Receives the messages of a partition until `end`. Call once for each. */
	listen(partition: SourcePartition, onMessage: (message: Buffer) => void): void;
	end(partition: SourcePartition): void;
	close(): void;
}

/** Limit on bytes that Redis has not acknowledged. */
const bytesMax = 16 * 1024 * 1024;

/** Over pub/sub of Redis, with a sharded channel for each partition. **One per ingest worker.** */
export class RedisRelay implements RelayLink {
	readonly #redis: Pick<Redis, "send" | "state" | "subscribe" | "unsubscribe" | "close">;
	readonly #prefix: string;
	readonly #onDropped: () => void;
	#bytes = 0;
	/** The last change of each subscription: the next one waits for it. */
	readonly #changes = new Map<string, Promise<unknown>>();

	/** @param onDropped called for a message that Redis did not take. */
	constructor(redis: Pick<Redis, "send" | "state" | "subscribe" | "unsubscribe" | "close">, prefix: string, onDropped: () => void) {
		this.#redis = redis;
		this.#prefix = prefix;
		this.#onDropped = onDropped;
	}

	send(partition: SourcePartition, message: Buffer): boolean {
		if (this.#redis.state !== "ready" || this.#bytes + message.length > bytesMax) return false;
		const channel = this.#channel(partition);
		this.#bytes += message.length;
		this.#redis
			.send(channel, ["SPUBLISH", channel, message])
			.catch(() => this.#onDropped())
			.finally(() => {
				this.#bytes -= message.length;
			});
		return true;
	}

	listen(partition: SourcePartition, onMessage: (message: Buffer) => void): void {
		const channel = this.#channel(partition);
		// If it fails now, the client subscribes as soon as Redis can be reached.
		this.#change(channel, () => this.#redis.subscribe(channel, onMessage, { sharded: true }));
	}

	end(partition: SourcePartition): void {
		const channel = this.#channel(partition);
		this.#change(channel, () => this.#redis.unsubscribe(channel));
	}

	close(): void {
		this.#redis.close();
	}

	#change(channel: string, change: () => Promise<void>): void {
		const changed = (this.#changes.get(channel) ?? Promise.resolve()).then(change).catch(() => undefined);
		this.#changes.set(channel, changed);
		void changed.then(() => {
			if (this.#changes.get(channel) === changed) this.#changes.delete(channel);
		});
	}

	/** By topic id: a recreated topic is another one, and clusters of brokers do not share ids. */
	#channel({ topicId, partition }: SourcePartition): string {
		return `${this.#prefix}:kafka:${topicId}:${partition}`;
	}
}
