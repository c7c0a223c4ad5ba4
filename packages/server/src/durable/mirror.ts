import { setTimeout as pause } from "node:timers/promises";
import { type ChannelLog, epochText, type HistoryLimits, type MirrorOptions, type Position } from "@shardcast/channel-log";
import type { DurableStore, StoredChannel } from "@shardcast/durable-store";

interface MirrorParts {
	readonly store: Pick<DurableStore, "channel" | "open" | "readLate" | "refresh">;
	readonly log: Pick<ChannelLog, "position" | "mirror">;
	readonly failed: (error: unknown) => void;
}

interface Tracked {
	readonly limits: HistoryLimits;
	/** The log's position in the store's epoch, as last seen; null = not yet. */
	logged: Position | null;
}

const retryMs = 1;
const waitMsMax = 5000;
/** The most publications that one turn appends to a log. */
const turnMax = 64;
/** The most channels that are tracked. Beyond it, the least recently used half is dropped. */
const channelsMax = 10_000;
const nothing = new Uint8Array(0);
/** Whether the log has it, whichever process has appended it. */
const isIn = (outcome: ReturnType<ChannelLog["mirror"]>): boolean => outcome === "published" || outcome === "known";

export const epochIn = ({ epoch0, epoch1 }: Pick<StoredChannel, "epoch0" | "epoch1">): string => epochText(epoch0, epoch1);

/**
 * Brings publications from the durable store to all shards through the channels' logs. A log gets a channel's publications in the order of the
 * store and without a gap: it accepts only newer ones, and each process appends what follows its last entry. So it does not matter which process
 * appends a publication, or whether the one that stored it has died.
 *
 * Before a process stores anything in a channel, the log must know the channel's position (`ensure`).
 */
export class Mirror {
	readonly #parts: MirrorParts;
	readonly #ensuring = new Map<string, Promise<StoredChannel | null>>();
	readonly #busy = new Set<string>();
	/** Of those that are busy, the ones that must be compared once more. */
	readonly #again = new Set<string>();
	#recent = new Map<string, Tracked>();
	#older = new Map<string, Tracked>();
	#turn = 0;
	#isComparing = false;

	constructor(parts: MirrorParts) {
		this.#parts = parts;
	}

	/** The channel if the log knows it; otherwise null, and `ensure` must be called. */
	known(channel: string): StoredChannel | null {
		const { store, log } = this.#parts;
		const stored = store.channel(channel);
		if (stored === null) return null;
		const position = log.position(channel);
		if (position === null || position.offset === 0 || position.epoch !== epochIn(stored)) return null;
		// Another process may have heard of later ones.
		return position.offset > stored.last ? { ...stored, last: position.offset } : stored;
	}

	/** Makes the channel known to the store and the log. Null = not in time, or the store is full. */
	ensure(channel: string, limits: HistoryLimits): Promise<StoredChannel | null> {
		const known = this.known(channel);
		this.#use(channel, limits);
		const waits = this.#ensuring.get(channel);
		if (waits !== undefined) return waits;
		if (known !== null) return Promise.resolve(known);
		const made = this.#ensure(channel, limits).finally(() => this.#ensuring.delete(channel));
		this.#ensuring.set(channel, made);
		return made;
	}

	/** The number of publications in the store that the log does not have yet. */
	behind(channel: string, { last }: StoredChannel): number {
		const position = this.#parts.log.position(channel);
		return position === null ? 0 : last - position.offset;
	}

	/** Appends what is new. */
	due(channel: string, limits: HistoryLimits): void {
		this.#use(channel, limits);
		if (this.#busy.has(channel)) {
			this.#again.add(channel);
			return;
		}
		this.#busy.add(channel);
		this.#bring(channel, limits)
			.catch(this.#parts.failed)
			.finally(() => {
				this.#busy.delete(channel);
				if (this.#again.delete(channel)) this.due(channel, limits);
			});
	}

	/** Checks a tenth of the recently used channels each second: a process may have died between storing and appending. */
	everySecond(): void {
		this.#turn = (this.#turn + 1) % 10;
		let index = 0;
		const some = [...this.#recent, ...this.#older].filter(() => index++ % 10 === this.#turn);
		void this.#compare(some);
	}

	/** Checks all recently used channels: notifications of the store may have been lost. */
	compareAll(): void {
		void this.#compare([...this.#recent, ...this.#older]);
	}

	async #compare(channels: readonly (readonly [string, Tracked])[]): Promise<void> {
		const { store, failed } = this.#parts;
		if (store.refresh !== undefined) {
			if (this.#isComparing || channels.length === 0) return;
			this.#isComparing = true;
			try {
				await store.refresh(channels.map(([channel]) => channel));
			} catch (error) {
				failed(error);
				return;
			} finally {
				this.#isComparing = false;
			}
		}
		for (const [channel, { limits }] of channels) {
			const stored = store.channel(channel);
			if (stored === null) continue;
			if (this.#isBehind(channel, stored)) this.due(channel, limits);
		}
	}

	#isBehind(channel: string, stored: StoredChannel): boolean {
		const position = this.#parts.log.position(channel);
		if (position === null || position.epoch !== epochIn(stored)) return true;
		this.#seeLog(channel, position);
		return position.offset < stored.last;
	}

	#seeLog(channel: string, position: Position): void {
		const tracked = this.#tracked(channel);
		if (tracked !== undefined) tracked.logged = position;
	}

	/**
	 * Tells the log the channel's position. If the log has another epoch, subscribers are told that. If it has forgotten the channel, they may lack what
	 * the store has: they are told, unless the log is known to have had everything. @param known the log's position.
	 */
	#introduce(channel: string, history: HistoryLimits, stored: StoredChannel, known: Position): void {
		const { epoch0, epoch1, last } = stored;
		const logged = this.#tracked(channel)?.logged;
		const had = logged?.epoch === epochIn(stored) ? logged.offset : 0;
		const hidden = known.offset > 0 || had < last ? "gap" : "position";
		this.#parts.log.mirror(channel, nothing, { history, offset: Math.max(had, last), epoch0, epoch1, hidden });
	}

	async #ensure(channel: string, limits: HistoryLimits): Promise<StoredChannel | null> {
		const { store, log } = this.#parts;
		const until = performance.now() + waitMsMax;
		const opened = await store.open(channel, limits.metaTtlMs);
		if (opened === "full") return null;
		for (;;) {
			// The store is read before the log: if the log does not know the channel, nothing has been stored since.
			const stored = store.channel(channel);
			if (stored === null) return null;
			const position = log.position(channel);
			if (position !== null && position.offset > 0 && position.epoch === epochIn(stored)) {
				await this.#afterEnsuring(channel, limits);
				return stored;
			}
			if (position !== null) this.#introduce(channel, limits, stored, position);
			if (performance.now() > until) return null;
			await pause(retryMs);
		}
	}

	/** What another machine has stored before the log knew the channel was not brought by anybody. */
	async #afterEnsuring(channel: string, limits: HistoryLimits): Promise<void> {
		const { store } = this.#parts;
		await store.refresh?.([channel]);
		const stored = store.channel(channel);
		if (stored === null) return;
		if (store.refresh !== undefined && this.#isBehind(channel, stored)) setImmediate(() => this.due(channel, limits));
	}

	async #bring(channel: string, limits: HistoryLimits): Promise<void> {
		const { store, log } = this.#parts;
		if ((await this.ensure(channel, limits)) === null) return;
		for (;;) {
			const stored = store.channel(channel);
			const position = log.position(channel);
			if (stored === null || (position !== null && position.epoch !== epochIn(stored))) return;
			if (position !== null && position.offset >= stored.last) {
				this.#seeLog(channel, position);
				return;
			}
			const { epoch0, epoch1 } = stored;
			let isLate = position === null;
			const next = position === null ? [] : await store.readLate(channel, position.offset, turnMax);
			const append = (data: Uint8Array, rest: Omit<MirrorOptions, "history" | "epoch0" | "epoch1">) =>
				log.mirror(channel, data, { history: limits, epoch0, epoch1, ...rest });
			/** Publications up to `offset` are gone, which subscribers are told. False = the log has no room now. */
			const skipTo = (offset: number) => isIn(append(nothing, { offset, hidden: "gap" }));
			let last = position?.offset ?? 0;
			for (const { data, senderId, senderLife, ...rest } of next) {
				const { offset } = rest;
				const sender = senderId === 0 ? {} : { sender: { id: senderId, life: senderLife } };
				// Those before it may have expired, or been removed, before this process could read them.
				isLate = offset > last + 1 && !skipTo(offset - 1);
				if (isLate) break;
				const outcome = append(data, { ...rest, ...sender });
				isLate = outcome === "too_large" ? !skipTo(offset) : !isIn(outcome);
				if (isLate) break;
				last = offset;
			}
			if (position !== null) this.#seeLog(channel, { ...position, offset: last });
			// They have all expired, and are gone.
			if (position !== null && next.length === 0) isLate = !skipTo(stored.last);
			await pause(isLate ? retryMs : 0);
		}
	}

	#tracked(channel: string): Tracked | undefined {
		return this.#recent.get(channel) ?? this.#older.get(channel);
	}

	#use(channel: string, limits: HistoryLimits): void {
		if (this.#recent.has(channel)) return;
		const logged = this.#older.get(channel)?.logged ?? null;
		if (this.#recent.size >= channelsMax / 2) {
			this.#older = this.#recent;
			this.#recent = new Map();
		}
		this.#recent.set(channel, { limits, logged });
		this.#older.delete(channel);
	}
}
