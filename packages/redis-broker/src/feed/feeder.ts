import type { ChannelLog, HistoryLimits, Position } from "@shardcast/channel-log";
import type { Redis } from "@shardcast/redis";
import type { NodeId } from "../node-id.ts";
import type { RedisBroker } from "../redis-broker.ts";
import { readAnnouncements } from "./announcement.ts";
import { FollowedChannel } from "./followed-channel.ts";
import { WaitingBytes } from "./waiting-publications.ts";

/** Counters of a feeder. */
export class FeedCounts {
	/** Publications appended to this node's log. */
	brought = 0;
	/** Those of them that pub/sub did not deliver and that were read from the stream. */
	caughtUp = 0;
	/** Publications that were no longer in the stream when they were needed. */
	lost = 0;
	/** Publications that could not be decoded, or are too long for the logs. */
	unreadable = 0;
	/** Reads of a channel's stream. */
	reads = 0;
}

export interface FeederParts {
	readonly redis: Pick<Redis, "subscribe" | "unsubscribe" | "onRestored" | "state">;
	readonly broker: Pick<RedisBroker, "read" | "decode" | "keys">;
	/** This node. Connection numbers of senders are valid only on their own node. */
	readonly node: NodeId;
	readonly log: Pick<ChannelLog, "position" | "history" | "mirror" | "removeHistory">;
	/** History limits of a channel; null = it keeps no history. */
	readonly limitsOf: (channel: string) => HistoryLimits | null;
	/** The log has caught up with Redis up to this position, and follows from there. */
	readonly reached: (channel: string, position: Position) => void;
	/** The channel has a new epoch. Its subscribers learn that from the log (`MirrorOptions.hidden`), as if they had missed publications. */
	readonly restarted: (channel: string) => void;
	readonly counts: FeedCounts;
	/** Monotonic clock. */
	readonly nowMs: () => number;
}

/** How long a channel is followed after the last request for it. */
const followMs = 90_000;
/** How often each channel is compared with Redis, since pub/sub may lose messages. */
const checkEverySeconds = 10;
const endMsMax = 2000;
/** Most stream reads started in one turn of the event loop. */
const looksPerTurn = 200;

/**
 * Copies publications from Redis into the logs of this node, for the channels that its clients need: one subscription per channel, whatever the number of
 * shards and clients. **One per shard that feeds a log.** Bounded by the channels that the node's clients need.
 */
export class Feeder {
	readonly #parts: FeederParts;
	readonly #channels = new Map<string, FollowedChannel>();
	readonly #behind = new Set<FollowedChannel>();
	readonly #waitingBytes = new WaitingBytes();
	/** Channels whose unsubscribe Redis has not confirmed yet. */
	readonly #ending = new Map<string, Promise<unknown>>();
	readonly #forget: () => void;
	#second = 0;
	#stopped = false;

	constructor(parts: FeederParts) {
		this.#parts = parts;
		// Messages published in between are lost.
		this.#forget = parts.redis.onRestored(() => void this.#checkAll());
	}

	/** Number of followed channels. */
	get size(): number {
		return this.#channels.size;
	}

	/**
	 * Follows the channel for `followMs` from now. Calls `reached` when the log has caught up, at once if it already has.
	 * @param since if the channel was not followed before, publications after this position are read, too; null = only new ones.
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
			if (nowMs - channel.wantedMs > followMs) this.#end(name, channel);
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
				waitingBytes: this.#waitingBytes,
				reached: ({ name: reached, position }) => position !== null && this.#parts.reached(reached, position),
				behind: (of) => this.#behind.add(of),
			},
			{ since, nowMs },
		);
		this.#channels.set(name, channel);
		void this.#subscribe(channel, (message) => {
			const announced = readAnnouncements(message);
			// Of a node of another version, perhaps: what it has published is in the stream.
			if (announced === null) channel.check();
			else channel.announced(announced);
		});
	}

	/** Subscribes first, then reads the stream: a publication in between is seen twice and appended once. */
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
		// The library confuses a subscription with an unfinished unsubscribe of the same channel.
		const ended = Promise.race([
			// Otherwise the connection is lost, and the subscription with it.
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
