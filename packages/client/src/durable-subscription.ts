import type { Centrifuge, PublicationContext, SubscribedContext, Subscription } from "centrifuge";

export interface DurableMessage<T = unknown> {
	readonly channel: string;
	readonly data: T;
	/** Counts up by one within a channel. */
	readonly offset: number;
	readonly tags?: Readonly<Record<string, string>>;
}

export interface DurableSubscriptionOptions<T = unknown> {
	/** 1 to 64 of letters, digits, - _ and . : identifies this consumer of the channel among those of the same user. */
	readonly consumer: string;
	/** Called for one message at a time, in order. When it resolves, the message is acknowledged; when it rejects, the message is delivered again. */
	readonly onMessage: (message: DurableMessage<T>) => Promise<void> | void;
	/** Called when `onMessage` has failed. */
	readonly onError?: (error: unknown, message: DurableMessage<T>) => void;
	/** Called when unacknowledged messages are gone, because they were older than the history. The next message is a new one. */
	readonly onLost?: () => void;
	/** For a channel that needs a subscription token. */
	readonly getToken?: () => Promise<string>;
	/** Pause after a failure before the message is requested again, in milliseconds; 1000 by default. */
	readonly retryMs?: number;
	/** Interval in which acknowledgements are collected and sent together, in milliseconds; 100 by default. */
	readonly acknowledgeMs?: number;
	/** Maximum number of messages that wait for `onMessage`; 1000 by default. Further messages stay on the server and are requested later. */
	readonly waitingMax?: number;
}

const defaults = { retryMs: 1000, acknowledgeMs: 100, waitingMax: 1000 };

/**
 * Subscribes to a durable channel: each message is handled at least once, in order, also after a restart of the client, the server, or both. The
 * server keeps the position of the consumer. Call it once per channel and client.
 */
export function durableSubscription<T = unknown>(
	client: Centrifuge,
	channel: string,
	options: DurableSubscriptionOptions<T>,
): DurableSubscription<T> {
	return new DurableSubscription(client, channel, options);
}

/** See `durableSubscription`. */
export class DurableSubscription<T = unknown> {
	/** The subscription of the `centrifuge` library, for its events. Do not subscribe or unsubscribe with it. */
	readonly subscription: Subscription;
	readonly #client: Centrifuge;
	readonly #channel: string;
	readonly #options: DurableSubscriptionOptions<T> & typeof defaults;
	#epoch = "";
	/** Offset up to which everything was handled; -1 = not known yet. */
	#handled = -1;
	/** Offset of the last message that was handled or is waiting. */
	#taken = -1;
	#acknowledged = -1;
	#waiting: DurableMessage<T>[] = [];
	#isWorking = false;
	/** Resolves when no `onMessage` runs. */
	#working: Promise<void> = Promise.resolve();
	/** Some messages were left on the server. */
	#isBehind = false;
	#isClosed = false;
	#acknowledging: ReturnType<typeof setTimeout> | undefined;
	#retrying: ReturnType<typeof setTimeout> | undefined;

	constructor(client: Centrifuge, channel: string, options: DurableSubscriptionOptions<T>) {
		const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
		this.#client = client;
		this.#channel = channel;
		this.#options = { ...defaults, ...(given as unknown as DurableSubscriptionOptions<T>) };
		const { consumer, getToken } = options;
		this.subscription = client.newSubscription(channel, { data: { consumer }, ...(getToken && { getToken }) });
		this.subscription.on("subscribed", (context) => this.#subscribed(context));
		this.subscription.on("publication", (publication) => this.#take(publication));
		this.subscription.subscribe();
	}

	/**
	 * Waits for the `onMessage` that is running, acknowledges its message, and ends the subscription. The consumer keeps its position. Without a
	 * connection the acknowledgement is lost, and messages are sent again. Do not await it in `onMessage`.
	 */
	async close(): Promise<void> {
		this.#isClosed = true;
		clearTimeout(this.#retrying);
		await this.#working;
		clearTimeout(this.#acknowledging);
		await this.#acknowledge();
		this.subscription.unsubscribe();
		this.#client.removeSubscription(this.subscription);
	}

	/** Ends the subscription and removes the consumer's position on the server. */
	async forget(): Promise<void> {
		await this.close();
		await this.#client.rpc("shardcast.forget", { channel: this.#channel, consumer: this.#options.consumer });
	}

	#subscribed({ streamPosition, wasRecovering, recovered }: SubscribedContext): void {
		if (streamPosition === undefined) throw new Error(`shardcast: ${this.#channel} is not a durable channel`);
		const { epoch, offset } = streamPosition;
		const isLost = wasRecovering && !recovered;
		this.#isBehind = false;
		clearTimeout(this.#retrying);
		if (epoch !== this.#epoch || isLost) {
			const isNew = this.#epoch === "" && !isLost;
			this.#epoch = epoch;
			this.#waiting = [];
			this.#handled = offset;
			this.#taken = offset;
			this.#acknowledged = offset;
			if (!isNew) this.#options.onLost?.();
			return;
		}
		// Another connection of this consumer may be further ahead. The messages that wait here are handled anyway.
		if (offset > this.#taken) {
			this.#taken = offset;
			this.#handled = Math.max(this.#handled, this.#waiting.length === 0 && !this.#isWorking ? offset : this.#handled);
		}
		// The connection may have ended before the last acknowledgement arrived.
		if (offset < this.#handled) {
			this.#acknowledged = offset;
			this.#soon();
		}
	}

	#take({ data, offset = 0, tags }: PublicationContext): void {
		// A repeat.
		if (offset <= this.#taken || this.#isClosed) return;
		if (this.#isBehind || offset !== this.#taken + 1 || this.#waiting.length >= this.#options.waitingMax) {
			this.#isBehind = true;
			return;
		}
		this.#taken = offset;
		this.#waiting.push({ channel: this.#channel, data: data as T, offset, ...(tags && { tags }) });
		if (!this.#isWorking) this.#working = this.#work();
	}

	async #work(): Promise<void> {
		this.#isWorking = true;
		while (this.#waiting.length > 0 && !this.#isClosed) {
			const message = this.#waiting[0]!;
			const epoch = this.#epoch;
			try {
				await this.#options.onMessage(message);
			} catch (error) {
				this.#options.onError?.(error, message);
				if (epoch === this.#epoch) this.#waiting = [];
				this.#taken = this.#handled;
				this.#isBehind = true;
				this.#again(this.#options.retryMs);
				break;
			}
			// The server may have started another epoch meanwhile.
			if (this.#waiting[0] !== message) continue;
			this.#waiting.shift();
			this.#handled = message.offset;
			this.#soon();
		}
		this.#isWorking = false;
		if (this.#isBehind && this.#waiting.length === 0) this.#again(this.#options.retryMs);
	}

	/** Subscribes again: the server sends all unacknowledged messages. */
	#again(afterMs: number): void {
		clearTimeout(this.#retrying);
		if (this.#isClosed) return;
		this.#retrying = setTimeout(() => {
			void this.#acknowledge().then(() => {
				if (this.#isClosed || this.subscription.state !== "subscribed") return;
				this.subscription.unsubscribe();
				this.subscription.subscribe();
			});
		}, afterMs);
	}

	#soon(): void {
		this.#acknowledging ??= setTimeout(() => void this.#acknowledge(), this.#options.acknowledgeMs);
	}

	/** Never rejects: unacknowledged messages are sent again. */
	async #acknowledge(): Promise<void> {
		clearTimeout(this.#acknowledging);
		this.#acknowledging = undefined;
		const offset = this.#handled;
		const epoch = this.#epoch;
		if (offset <= this.#acknowledged) return;
		try {
			await this.#client.rpc("shardcast.ack", { channel: this.#channel, consumer: this.#options.consumer, offset, epoch });
			if (epoch === this.#epoch) this.#acknowledged = Math.max(this.#acknowledged, offset);
		} catch {
			// Not connected, or no longer subscribed: the `subscribed` event tries again.
		}
	}
}
