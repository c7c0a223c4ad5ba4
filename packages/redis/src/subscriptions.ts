import type { Connection, MessageListener } from "./connection.ts";
import { RedisError } from "./redis-error.ts";

interface Subscription {
	readonly channel: string;
	readonly sharded: boolean;
	readonly listener: MessageListener;
	/** The SUBSCRIBE sent on the current connections, which repeat it after a reconnect; null = not sent. */
	sent: Promise<void> | null;
}

/** The subscriptions of a client. They survive the connections. One owner. */
export class Subscriptions {
	readonly #deadlineMs: number;
	readonly #subscriptions = new Map<string, Subscription>();

	/** @param deadlineMs limit for connecting and for the confirmation of a subscription. */
	constructor(deadlineMs: number) {
		this.#deadlineMs = deadlineMs;
	}

	get size(): number {
		return this.#subscriptions.size;
	}

	/** @throws when the channel has a subscription already. */
	add(channel: string, sharded: boolean, listener: MessageListener): Subscription {
		if (this.#subscriptions.has(channel)) throw new Error(`there is a subscription to ${channel} already`);
		const subscription = { channel, sharded, listener, sent: null };
		this.#subscriptions.set(channel, subscription);
		return subscription;
	}

	/** @returns the removed subscription, if there was one. */
	remove(channel: string): Subscription | undefined {
		const found = this.#subscriptions.get(channel);
		this.#subscriptions.delete(channel);
		return found;
	}

	/** Sends a subscription to Redis. Rejects when that fails; the next `sendAll` tries again. */
	send(connection: Connection, subscription: Subscription): Promise<void> {
		if (subscription.sent !== null) return subscription.sent;
		const { channel, sharded, listener } = subscription;
		const sent = this.#withDeadline(connection.subscribe(channel, sharded, listener), channel);
		sent.catch(() => {
			if (subscription.sent === sent) subscription.sent = null;
		});
		subscription.sent = sent;
		return sent;
	}

	/** Sends all subscriptions that Redis does not have yet. Rejects when one fails. */
	async sendAll(connection: Connection): Promise<void> {
		await Promise.all([...this.#subscriptions.values()].map((subscription) => this.send(connection, subscription)));
	}

	/** Call when the connections are replaced: new ones have no subscriptions. */
	reset(): void {
		for (const subscription of this.#subscriptions.values()) subscription.sent = null;
	}

	/** Needed since the library's promise may never settle if its connection is closed at the wrong moment. */
	#withDeadline(subscribing: Promise<void>, channel: string): Promise<void> {
		return new Promise((resolve, reject) => {
			const late = () =>
				reject(new RedisError("interrupted", `the subscription to ${channel} was not confirmed within ${this.#deadlineMs} ms`));
			const timer = setTimeout(late, this.#deadlineMs);
			subscribing.then(resolve, reject).finally(() => clearTimeout(timer));
		});
	}
}
