import type { Connection, MessageListener } from "./connection.ts";
import { RedisError } from "./redis-error.ts";

interface Subscription {
	readonly channel: string;
	readonly sharded: boolean;
	readonly listener: MessageListener;
	/** Redis has been told, on the connections that are there now; these tell it again when they are made again. */
	told: Promise<void> | null;
}

/** What is to be received: kept over all connections. One owner. */
export class Subscriptions {
	readonly #deadlineMs: number;
	readonly #subscriptions = new Map<string, Subscription>();

	/** @param deadlineMs for Redis to confirm a subscription, and for the connection that it needs. */
	constructor(deadlineMs: number) {
		this.#deadlineMs = deadlineMs;
	}

	get size(): number {
		return this.#subscriptions.size;
	}

	/** @throws when there is one for this channel. */
	add(channel: string, sharded: boolean, listener: MessageListener): Subscription {
		if (this.#subscriptions.has(channel)) throw new Error(`there is a subscription to ${channel} already`);
		const subscription = { channel, sharded, listener, told: null };
		this.#subscriptions.set(channel, subscription);
		return subscription;
	}

	/** @returns what it was, if there was one. */
	remove(channel: string): Subscription | undefined {
		const found = this.#subscriptions.get(channel);
		this.#subscriptions.delete(channel);
		return found;
	}

	/** Tells Redis of one. Rejects when it cannot; the next `tellAll` tries again. */
	tell(connection: Connection, subscription: Subscription): Promise<void> {
		if (subscription.told !== null) return subscription.told;
		const { channel, sharded, listener } = subscription;
		const told = this.#inTime(connection.subscribe(channel, sharded, listener), channel);
		told.catch(() => {
			if (subscription.told === told) subscription.told = null;
		});
		subscription.told = told;
		return told;
	}

	/** Tells Redis of all of which it has not been told. Rejects when one fails. */
	async tellAll(connection: Connection): Promise<void> {
		await Promise.all([...this.#subscriptions.values()].map((subscription) => this.tell(connection, subscription)));
	}

	/** The connections are gone for good: new ones know of none. */
	forgotten(): void {
		for (const subscription of this.#subscriptions.values()) subscription.told = null;
	}

	/** The library's promise may never settle when its connection is ended at the wrong moment. */
	#inTime(subscribing: Promise<void>, channel: string): Promise<void> {
		return new Promise((resolve, reject) => {
			const late = () =>
				reject(new RedisError("interrupted", `the subscription to ${channel} was not confirmed within ${this.#deadlineMs} ms`));
			const timer = setTimeout(late, this.#deadlineMs);
			subscribing.then(resolve, reject).finally(() => clearTimeout(timer));
		});
	}
}
