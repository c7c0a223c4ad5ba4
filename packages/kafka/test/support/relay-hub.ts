import type { RelayLink } from "../../src/relay/relay-link.ts";
import type { SourcePartition } from "../../src/source.ts";

type Listener = (message: Buffer) => void;

/** Pub/sub of a test: what one node sends reaches all of them, later, if at all. */
export class RelayHub {
	readonly #listeners = new Map<string, Set<Listener>>();
	/** How often each message is delivered: 0 = it is lost. */
	copies: () => number = () => 1;
	/** Delay of each copy, in milliseconds. */
	delayMs: () => number = () => 0;
	sent = 0;

	link(): RelayLink {
		const own = new Map<string, Listener>();
		const end = (key: string) => {
			const listener = own.get(key);
			if (listener !== undefined) this.#listeners.get(key)?.delete(listener);
			own.delete(key);
		};
		return {
			send: (partition, message) => {
				this.sent++;
				for (let copy = this.copies(); copy > 0; copy--) setTimeout(() => this.tell(partition, message), this.delayMs());
				return true;
			},
			listen: (partition, listener) => {
				const key = keyOf(partition);
				if (own.has(key)) throw new Error(`there is a subscription to ${key} already`);
				own.set(key, listener);
				this.#listeners.set(key, (this.#listeners.get(key) ?? new Set()).add(listener));
			},
			end: (partition) => end(keyOf(partition)),
			close: () => {
				for (const key of [...own.keys()]) end(key);
			},
		};
	}

	/** Listeners of a partition. */
	listeners(partition: Pick<SourcePartition, "topicId" | "partition">): number {
		return this.#listeners.get(keyOf(partition))?.size ?? 0;
	}

	tell(partition: Pick<SourcePartition, "topicId" | "partition">, message: Buffer): void {
		for (const listener of [...(this.#listeners.get(keyOf(partition)) ?? [])]) listener(Buffer.from(message));
	}
}

const keyOf = ({ topicId, partition }: Pick<SourcePartition, "topicId" | "partition">) => `${topicId}/${partition}`;
