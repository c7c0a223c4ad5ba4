import type { Connection, MessageListener } from "./connection.ts";

interface Subscription {
	readonly channel: string;
	readonly sharded: boolean;
	readonly listener: MessageListener;
	/** Redis has been told, on the connections that are there now; these tell it again when they are made again. */
	told: Promise<void> | null;
}

/** What is to be received: kept over all connections. One owner. */
export class Subscriptions {
	readonly #subscriptions = new Map<string, Subscription>();

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
		const { channel, sharded, listener } = subscription;
		subscription.told ??= connection.subscribe(channel, sharded, listener).catch((error: unknown) => {
			subscription.told = null;
			throw error;
		});
		return subscription.told;
	}

	/** Tells Redis of all of which it has not been told. Rejects when one fails. */
	async tellAll(connection: Connection): Promise<void> {
		await Promise.all([...this.#subscriptions.values()].map((subscription) => this.tell(connection, subscription)));
	}

	/** The connections are gone for good: new ones know of none. */
	forgotten(): void {
		for (const subscription of this.#subscriptions.values()) subscription.told = null;
	}
}
