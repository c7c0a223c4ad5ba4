import type { Connection, MessageListener } from "./connection.ts";
import { within } from "./within.ts";

interface Subscription {
	readonly channel: string;
	readonly sharded: boolean;
	readonly listener: MessageListener;
	/** The SUBSCRIBE sent on the current connections, which repeat it after a reconnect; null = not sent. */
	sent: Promise<void> | null;
	isConfirmed: boolean;
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
		const subscription: Subscription = { channel, sharded, listener, sent: null, isConfirmed: false };
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
		const sent = within(
			connection.subscribe(channel, sharded, listener),
			this.#deadlineMs,
			`the subscription to ${channel} was not confirmed`,
		);
		subscription.sent = sent;
		subscription.isConfirmed = false;
		sent.then(
			() => {
				if (subscription.sent === sent) subscription.isConfirmed = true;
			},
			() => {
				if (subscription.sent === sent) subscription.sent = null;
			},
		);
		return sent;
	}

	/**
	 * Sends all subscriptions that Redis does not have yet. Rejects when one fails.
	 * @param again also those that were confirmed, since a server of a cluster may have been replaced. The library sends only what is missing.
	 */
	async sendAll(connection: Connection, again = false): Promise<void> {
		const all = [...this.#subscriptions.values()];
		if (again) for (const subscription of all) if (subscription.isConfirmed) subscription.sent = null;
		await Promise.all(all.map((subscription) => this.send(connection, subscription)));
	}

	/** Call when the connections are replaced: new ones have no subscriptions. */
	reset(): void {
		for (const subscription of this.#subscriptions.values()) subscription.sent = null;
	}
}
