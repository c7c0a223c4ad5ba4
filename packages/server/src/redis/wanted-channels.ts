import { type ChannelLog, type Position, slotOfHolder } from "@shardcast/channel-log";
import { RecordType } from "@shardcast/wire";
import type { ChannelWatch } from "../hub/audience.ts";
import { type ChannelRecords, listedMax } from "./channel-records.ts";

interface WantedChannelsParts {
	readonly log: Pick<ChannelLog, "logOf" | "feeder">;
	readonly records: Pick<ChannelRecords, "send">;
	/** Whether other nodes publish to the channel. */
	readonly has: (channel: string) => boolean;
	/** Monotonic. */
	readonly nowMs: () => number;
}

interface Wanted {
	readonly name: string;
	readonly log: number;
	/** Number of audience providers in which it has subscribers. */
	subscribed: number;
	/** When a command last asked for it. */
	usedMs: number;
	/** Publications after this position are wanted as well; null = only new ones. */
	since: Position | null;
	/** Not asked for before; -Infinity = at once. See `noticeHoldMs`. */
	heldUntilMs: number;
	/** When the feeder was last asked; -Infinity = it must be asked. */
	askedMs: number;
	/** Position of the log when the feeder confirmed that it follows the channel; null = it has not. */
	position: Position | null;
	/** Resolves when it is fed; null = nothing waits for that. */
	arrival: { readonly promise: Promise<void>; readonly resolve: () => void } | null;
}

/** How long a channel is wanted if only a command has asked for it. */
const usedMs = 30_000;
/** How often the feeder is asked again: it forgets channels without a request for 90 s. */
const renewMs = 30_000;
/** After this time without an answer it is asked again. */
const askAgainMs = 500;
/**
 * How long a channel of which a publisher has told waits for other publishers, whose first publications may be older: what was published before the
 * position at which the feeder begins is not brought. So the first publication of such a channel comes so much later.
 */
export const noticeHoldMs = 100;
/** Most channels that only commands have asked for. */
const unsubscribedMax = 10_000;
/** Most channels checked per tick, for requests to repeat and channels that are no longer wanted. */
const looksPerTick = 200;

/**
 * The channels that this shard's clients want from other nodes. It asks the shard that feeds the channel's log, and asks again when another shard
 * takes over. **One per shard.** Bounded by the clients' subscriptions plus `unsubscribedMax`.
 */
export class WantedChannels implements ChannelWatch {
	readonly #parts: WantedChannelsParts;
	readonly #wanted = new Map<string, Wanted>();
	/** Not answered yet. */
	readonly #open = new Set<Wanted>();
	/** The feeder of each log at the last check. */
	readonly #feeders: number[] = [];
	#unsubscribed = 0;
	#looking: MapIterator<Wanted> | null = null;

	constructor(parts: WantedChannelsParts) {
		this.#parts = parts;
	}

	get size(): number {
		return this.#wanted.size;
	}

	subscribed(channel: string): void {
		if (!this.#parts.has(channel)) return;
		const wanted = this.#wanted.get(channel) ?? this.#add(channel);
		this.#release(wanted);
		if (wanted.subscribed++ === 0) this.#unsubscribed--;
	}

	unsubscribed(channel: string): void {
		const wanted = this.#wanted.get(channel);
		if (wanted === undefined || wanted.subscribed === 0) return;
		wanted.usedMs = this.#parts.nowMs();
		if (--wanted.subscribed === 0) this.#unsubscribed++;
	}

	/** A position that the log had reached when the current feeder began; null = it is not fed yet, but will be soon. */
	fedFrom(channel: string): Position | null {
		const wanted = this.#wanted.get(channel) ?? this.#add(channel);
		wanted.usedMs = this.#parts.nowMs();
		this.#release(wanted);
		this.#lookAtFeeder(wanted.log);
		return wanted.position;
	}

	/** Clients that want all channels get what was published to this one after `since`. */
	noticed(channel: string, since: Position): void {
		const wanted = this.#wanted.get(channel) ?? this.#add(channel, since);
		wanted.usedMs = this.#parts.nowMs();
		const { since: other } = wanted;
		if (other !== null && since.epoch === other.epoch && since.offset < other.offset) wanted.since = since;
	}

	/** Discards the channel's position, which was of its former epoch. The feeder will report a new one soon. */
	restarted(channel: string): void {
		const wanted = this.#wanted.get(channel);
		if (wanted !== undefined) this.#reopen(wanted);
	}

	/** Call when the log no longer knows the channel. */
	askAgain(channel: string): void {
		const wanted = this.#wanted.get(channel);
		if (wanted !== undefined) this.#ask(wanted);
	}

	/** Call when a feeder follows the channel. @param slot of the feeder. */
	followed(channel: string, position: Position, slot: number): void {
		const wanted = this.#wanted.get(channel);
		if (wanted === undefined) return;
		this.#lookAtFeeder(wanted.log);
		const feeder = this.#feeders[wanted.log]!;
		if (feeder === 0 || slotOfHolder(feeder) !== slot) return;
		this.#open.delete(wanted);
		wanted.position = position;
		wanted.since = null;
		wanted.arrival?.resolve();
		wanted.arrival = null;
	}

	/** Resolves when the channel is fed; null = it is. Never rejects. */
	waits(channel: string): Promise<void> | null {
		const wanted = this.#wanted.get(channel) ?? this.#add(channel);
		if (wanted.position !== null) return null;
		this.#release(wanted);
		if (wanted.arrival === null) {
			let resolve = () => {};
			const promise = new Promise<void>((done) => {
				resolve = done;
			});
			wanted.arrival = { promise, resolve };
		}
		return wanted.arrival.promise;
	}

	/** Call several times a second. */
	tick(): void {
		for (let log = 0; log < this.#feeders.length; log++) if (this.#feeders[log] !== undefined) this.#lookAtFeeder(log);
		this.#askOpen();
		this.#lookAtSome();
	}

	/** Call when the options may have changed which channels other nodes publish to. @param all channels with subscribers, once for each provider. */
	renew(all: Iterable<string>): void {
		for (const wanted of this.#wanted.values()) wanted.subscribed = 0;
		this.#unsubscribed = this.#wanted.size;
		for (const channel of all) this.subscribed(channel);
	}

	#add(name: string, since: Position | null = null): Wanted {
		if (this.#unsubscribed >= unsubscribedMax) this.#forgetOne();
		const log = this.#parts.log.logOf(name);
		const nowMs = this.#parts.nowMs();
		this.#lookAtFeeder(log);
		const wanted: Wanted = {
			...{ name, log, subscribed: 0, since },
			...{ usedMs: nowMs, askedMs: Number.NEGATIVE_INFINITY, position: null, arrival: null },
			heldUntilMs: since === null ? Number.NEGATIVE_INFINITY : nowMs + noticeHoldMs,
		};
		this.#wanted.set(name, wanted);
		this.#unsubscribed++;
		this.#open.add(wanted);
		this.#ask(wanted);
		return wanted;
	}

	/** A client waits for the channel. */
	#release(wanted: Wanted): void {
		if (wanted.heldUntilMs === Number.NEGATIVE_INFINITY) return;
		wanted.heldUntilMs = Number.NEGATIVE_INFINITY;
		if (wanted.position === null) this.#ask(wanted);
	}

	#forgetOne(): void {
		for (const wanted of this.#wanted.values()) {
			if (wanted.subscribed > 0) continue;
			this.#forget(wanted);
			return;
		}
	}

	#forget(wanted: Wanted): void {
		this.#wanted.delete(wanted.name);
		wanted.arrival?.resolve();
		this.#open.delete(wanted);
		this.#unsubscribed--;
	}

	/** Ignores positions from a former feeder. */
	#lookAtFeeder(log: number): void {
		const feeder = this.#parts.log.feeder(log);
		if (this.#feeders[log] === feeder) return;
		this.#feeders[log] = feeder;
		for (const wanted of this.#wanted.values()) {
			if (wanted.log === log) this.#reopen(wanted);
		}
	}

	#reopen(wanted: Wanted): void {
		wanted.position = null;
		wanted.askedMs = Number.NEGATIVE_INFINITY;
		this.#open.add(wanted);
	}

	#ask(wanted: Wanted): void {
		const { log, records, nowMs } = this.#parts;
		const feeder = log.feeder(wanted.log);
		if (feeder === 0 || wanted.heldUntilMs > nowMs() || wanted.askedMs + askAgainMs > nowMs()) return;
		if (records.send(RecordType.follow, slotOfHolder(feeder), [[wanted.name, wanted.since]])) wanted.askedMs = nowMs();
	}

	/** Asks in as few records as possible: after the death of a feeder there are many channels. */
	#askOpen(): void {
		if (this.#open.size === 0) return;
		const { records, nowMs } = this.#parts;
		const now = nowMs();
		const byLog = new Map<number, Wanted[]>();
		for (const wanted of this.#open) {
			if (wanted.heldUntilMs > now || wanted.askedMs + askAgainMs > now) continue;
			const list = byLog.get(wanted.log) ?? [];
			byLog.set(wanted.log, list);
			list.push(wanted);
		}
		for (const [log, list] of byLog) {
			const feeder = this.#feeders[log] ?? this.#parts.log.feeder(log);
			if (feeder === 0) continue;
			for (let from = 0; from < list.length; from += listedMax) {
				const part = list.slice(from, from + listedMax);
				const names = part.map(({ name, since }) => [name, since] as const);
				// No room in the ring: try again at the next tick.
				if (!records.send(RecordType.follow, slotOfHolder(feeder), names)) return;
				for (const wanted of part) wanted.askedMs = now;
			}
		}
	}

	#lookAtSome(): void {
		const now = this.#parts.nowMs();
		this.#looking ??= this.#wanted.values();
		for (let look = 0; look < looksPerTick; look++) {
			const { value: wanted, done } = this.#looking.next();
			if (done) {
				this.#looking = null;
				return;
			}
			if (wanted.subscribed === 0 && wanted.usedMs + usedMs < now) this.#forget(wanted);
			else if (wanted.position !== null && wanted.askedMs + renewMs < now) this.#ask(wanted);
		}
	}
}
