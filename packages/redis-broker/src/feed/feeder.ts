import type { ChannelLog, HistoryLimits, Position } from "@shardcast/channel-log";
import type { Redis } from "@shardcast/redis";
import type { NodeId } from "../node-id.ts";
import type { RedisBroker } from "../redis-broker.ts";
import { readAnnouncement } from "../stored-publication.ts";
import { FollowedChannel } from "./followed-channel.ts";

/** What a feeder has done. */
export class FeedCounts {
	/** Publications that were put into the log of this node. */
	brought = 0;
	/** Those of them that pub/sub had not brought, and that were read from the stream. */
	caughtUp = 0;
	/** Publications that were in the stream no more when they were looked for. */
	lost = 0;
	/** Publications that could not be read, or are too long for the logs. */
	unreadable = 0;
	/** Looks at the stream of a channel. */
	reads = 0;
}

export interface FeederParts {
	readonly redis: Pick<Redis, "subscribe" | "unsubscribe" | "onRestored" | "state">;
	readonly broker: Pick<RedisBroker, "read" | "keys">;
	/** This node: only here a sender's number means a client. */
	readonly node: NodeId;
	readonly log: Pick<ChannelLog, "position" | "history" | "mirror" | "removeHistory">;
	/** What a channel keeps; null = nothing. */
	readonly limitsOf: (channel: string) => HistoryLimits | null;
	/** The log has all that was published until now, and gets what comes. */
	readonly reached: (channel: string, position: Position) => void;
	/** Subscribers have missed something that nobody can give them: each has to begin again. */
	readonly lost: (channel: string) => void;
	readonly counts: FeedCounts;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** A channel is followed for so long after somebody has last wanted it. */
export const wantedMs = 90_000;
/** Each channel is looked at so often, whatever pub/sub says. */
const checkEverySeconds = 10;
const endMsMax = 2000;
/** Looks that are begun in one turn of the event loop. */
const looksPerTurn = 200;

/**
 * Brings what is published in Redis, on whatever node, into the logs of this one, for the channels that somebody here wants: one subscription for
 * each, whatever the number of shards and clients. **One per shard that feeds a log.** Bounded by the channels that the node's clients want.
 */
export class Feeder {
	readonly #parts: FeederParts;
	readonly #channels = new Map<string, FollowedChannel>();
	readonly #behind = new Set<FollowedChannel>();
	/** Subscriptions that Redis has not confirmed the end of. */
	readonly #ending = new Map<string, Promise<unknown>>();
	readonly #forget: () => void;
	#second = 0;
	#stopped = false;

	constructor(parts: FeederParts) {
		this.#parts = parts;
		// Messages of the time in between are lost.
		this.#forget = parts.redis.onRestored(() => void this.#checkAll());
	}

	/** Channels that are followed. */
	get size(): number {
		return this.#channels.size;
	}

	/**
	 * Somebody wants the channel, for `wantedMs` from now. `reached` is called, at once if it is so already.
	 * @param since brings what was published behind it, if nobody has wanted the channel before; null = only what comes.
	 */
	follow(name: string, since: Position | null = null): void {
		if (this.#stopped) return;
		const nowMs = this.#parts.nowMs();
		const known = this.#channels.get(name);
		if (known === undefined) {
			this.#begin(name, since, nowMs);
			return;
		}
		known.wantedMs = nowMs;
		const { position } = known;
		if (position === null || !known.isInLog()) known.check();
		else this.#parts.reached(name, position);
	}

	everySecond(): void {
		const { nowMs: now, redis } = this.#parts;
		const nowMs = now();
		if (redis.state === "ready") {
			const behind = [...this.#behind];
			this.#behind.clear();
			for (const channel of behind) channel.check();
		}
		this.#second = (this.#second + 1) % checkEverySeconds;
		let index = 0;
		for (const [name, channel] of this.#channels) {
			if (nowMs - channel.wantedMs > wantedMs) this.#end(name, channel);
			else if (index++ % checkEverySeconds === this.#second) channel.check();
		}
	}

	stop(): void {
		this.#stopped = true;
		this.#forget();
		for (const channel of this.#channels.values()) channel.stop();
		this.#channels.clear();
		this.#behind.clear();
	}

	#begin(name: string, since: Position | null, nowMs: number): void {
		const channel = new FollowedChannel(
			name,
			{
				...this.#parts,
				reached: ({ name: reached, position }) => position !== null && this.#parts.reached(reached, position),
				behind: (of) => this.#behind.add(of),
			},
			{ since, nowMs },
		);
		this.#channels.set(name, channel);
		void this.#subscribe(channel, (message) => {
			const announced = readAnnouncement(message);
			if (announced !== null) channel.announced(announced);
		});
	}

	/** First the subscription, then the look: what comes between the two is seen twice and taken once. */
	async #subscribe(channel: FollowedChannel, listener: (message: Buffer) => void): Promise<void> {
		const { redis, broker } = this.#parts;
		const { name } = channel;
		await this.#ending.get(name);
		if (this.#channels.get(name) !== channel) return;
		try {
			await redis.subscribe(broker.keys.topic(name), listener, { sharded: true });
		} catch {
			// `onRestored` comes later.
			return;
		}
		channel.check();
	}

	#end(name: string, channel: FollowedChannel): void {
		this.#channels.delete(name);
		this.#behind.delete(channel);
		channel.end();
		const { redis, broker } = this.#parts;
		// The library mixes up a subscription with one to the same channel that is just being ended.
		const ended = Promise.race([
			// Else the connection is gone, and the subscription with it.
			redis.unsubscribe(broker.keys.topic(name)).catch(() => {}),
			new Promise((resolve) => setTimeout(resolve, endMsMax).unref()),
		]).finally(() => {
			if (this.#ending.get(name) === ended) this.#ending.delete(name);
		});
		this.#ending.set(name, ended);
	}

	async #checkAll(): Promise<void> {
		let looks = 0;
		for (const channel of [...this.#channels.values()]) {
			channel.check();
			if (++looks % looksPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
		}
	}
}
