import { epochParts, epochText, type MirrorOptions, type Position } from "@shardcast/channel-log";
import type { Announcement } from "./announcement.ts";
import type { FeederParts } from "./feeder.ts";
import { type WaitingBytes, WaitingPublications } from "./waiting-publications.ts";

/** Most publications of a read: so many as have about `readBytes`, by those of the read before. */
const readMost = { first: 128, min: 16, max: 2048 } as const;
const readBytes = 1024 * 1024;
const retryMs = 1;
/** Longest of the pauses, each twice as long as the one before, for pub/sub to deliver what the stream no longer has: half a second altogether. */
const announcedMsMax = 256;
/** Pause after a loss, so that a burst longer than a short history does not make clients subscribe again more than ten times a second. */
const gapPauseMs = 100;
const nothing = new Uint8Array(0);
/** Replaces the epoch of a channel that is no longer fed, or begins another one, so that later publications do not continue from it. */
const nobodys = { offset: 1, epoch0: 1, epoch1: 1 };
export const nobodysEpoch = epochText(nobodys.epoch0, nobodys.epoch1);

type Mirrored = Omit<MirrorOptions, "history" | "epoch0" | "epoch1">;

/** What a channel needs from its feeder. */
interface ChannelParts extends Pick<FeederParts, "broker" | "node" | "log" | "limitsOf" | "restarted" | "counts"> {
	/** The channel has caught up with Redis, as of a moment ago. Called again for each new epoch. */
	readonly reached: (channel: FollowedChannel) => void;
	/** The stream could not be read: call `check` when Redis can be reached again. */
	readonly behind: (channel: FollowedChannel) => void;
	/** Shared by all channels. */
	readonly waitingBytes: WaitingBytes;
}

/**
 * Copies one channel from Redis into the log of this node, in the order of Redis and without a gap. New publications arrive by pub/sub; those that do
 * not are read from the stream. Several feeders may do so for one channel, concurrently or one after the other: the log takes only newer publications,
 * and each feeder appends a publication only when the log has the one before it.
 */
export class FollowedChannel {
	readonly name: string;
	/** When it was last requested. */
	wantedMs: number;
	readonly #parts: ChannelParts;
	/** Null = not known yet. */
	#epoch: string | null = null;
	#epochs: readonly [number, number] = [0, 0];
	#last = 0;
	readonly #waiting: WaitingPublications;
	#readMax: number = readMost.first;
	#reading = false;
	/** Something has arrived, or may have, since the read began. */
	#mustRead = false;
	#hasReached = false;
	/** Where to start if the log does not know the channel; null = at the current position in Redis. */
	readonly #since: Position | null;
	/** The log no longer has publications up to this removed offset. */
	#removed = 0;
	#retry: NodeJS.Timeout | undefined;
	#stopped = false;

	constructor(name: string, parts: ChannelParts, { since, nowMs }: { readonly since: Position | null; readonly nowMs: number }) {
		this.name = name;
		this.#since = since;
		this.wantedMs = nowMs;
		this.#parts = parts;
		this.#waiting = new WaitingPublications(parts.waitingBytes);
	}

	/** Null = not yet. */
	get position(): Position | null {
		return this.#hasReached && this.#epoch !== null ? { offset: this.#last, epoch: this.#epoch } : null;
	}

	/** Whether the log still knows the channel; another channel may have taken its place in the table. */
	isInLog(): boolean {
		const logged = this.#parts.log.position(this.name);
		return this.#last === 0 || logged === null || (logged.epoch === this.#epoch && logged.offset >= this.#last);
	}

	/** Received through pub/sub, in order. What finds no room is read from the stream later. */
	announced(publications: readonly Announcement[]): void {
		if (this.#stopped) return;
		for (const publication of publications) if (publication.offset <= 0 || !this.#waiting.add(publication)) this.#mustRead = true;
		if (!this.#reading && this.#retry === undefined) this.#go();
	}

	/** Reads the stream, since pub/sub may have lost messages. */
	check(): void {
		this.#mustRead = true;
		if (!this.#reading && this.#retry === undefined) this.#go();
	}

	stop(): void {
		this.#stopped = true;
		clearTimeout(this.#retry);
		this.#waiting.clear();
	}

	/** No client of this node wants it any more. When it is followed again, older publications are not delivered. */
	end(): void {
		this.stop();
		const history = this.#parts.limitsOf(this.name);
		if (history !== null && this.#last > 0) this.#parts.log.mirror(this.name, nothing, { history, ...nobodys, hidden: "position" });
	}

	/** Appends what waits, and reads what is missing. */
	#go(): void {
		if (this.#stopped) return;
		if (!this.#appendWaiting()) this.#later();
		else if (this.#epoch === null || this.#mustRead) void this.#read();
	}

	/** Appends what waits, as far as nothing is missing. False = the log has no room now. */
	#appendWaiting(): boolean {
		while (this.#epoch !== null) {
			const { next } = this.#waiting;
			if (next === null) return true;
			if (next.epoch !== this.#epoch || next.offset > this.#last + 1) {
				// It was in the stream before it was announced, and so were the missing ones.
				if (next.epoch !== this.#epoch) this.#waiting.clear();
				this.#mustRead = true;
				return true;
			}
			if (next.offset === this.#last + 1 && !this.#bring(next.offset, next.bytes)) return false;
			this.#waiting.shift();
		}
		return true;
	}

	#later(): void {
		this.#retry ??= setTimeout(() => {
			this.#retry = undefined;
			if (!this.#reading) this.#go();
		}, retryMs);
	}

	async #read(): Promise<void> {
		if (this.#reading) return;
		this.#reading = true;
		try {
			while (this.#mustRead || this.#epoch === null) {
				this.#mustRead = false;
				if (!(await this.#readOnce())) return;
			}
		} finally {
			this.#reading = false;
		}
		// Those that have arrived meanwhile.
		this.#go();
	}

	/** False = not possible now. */
	async #readOnce(): Promise<boolean> {
		const { broker, counts } = this.#parts;
		const since = this.#epoch === null ? undefined : { offset: this.#last, epoch: this.#epoch };
		const oldest = this.#waiting.next;
		const part = await broker.read(this.name, since === undefined ? { limit: 0 } : { since, limit: this.#readMax });
		if (this.#stopped) return false;
		if (part === null) {
			this.#mustRead = true;
			this.#parts.behind(this);
			return false;
		}
		counts.reads++;
		const { position, entries, removed } = part;
		const limit = this.#readMax;
		if (entries.length > 0) this.#readMax = readMaxFor(entries);
		if (position.epoch !== this.#epoch) {
			this.#removed = 0;
			return this.#enter(position);
		}
		// It was announced before the read, and yet is not in the stream: a server that has taken over lacks it, or another program has announced it. It
		// would be in the way of all that follows, or take the place of the one that gets its offset.
		if (oldest !== null && this.#waiting.next === oldest && oldest.offset > position.offset) {
			this.#waiting.clear();
			this.#mustRead = true;
		}
		if (position.offset < this.#last && !(await this.#goBack(position.offset))) return false;
		for (const { offset, bytes } of entries) {
			if (offset > this.#last + 1 && !(await this.#reachOrSkipTo(offset - 1))) return false;
			while (offset > this.#last && !this.#bring(offset, bytes, true)) if (!(await this.#pause())) return false;
		}
		if (this.#last < position.offset && entries.length < limit && !(await this.#reachOrSkipTo(position.offset))) return false;
		if (removed > this.#removed && !(await this.#forget(removed))) return false;
		// What pub/sub has delivered meanwhile may go on from here. Then it need not be read, so a node that is behind catches up.
		if (this.#last < position.offset && !(await this.#appendAllWaiting())) return false;
		if (this.#last < position.offset) this.#mustRead = true;
		else this.#reach();
		return true;
	}

	/** Appends what waits, as far as nothing is missing. False = it is over. */
	async #appendAllWaiting(): Promise<boolean> {
		while (!this.#appendWaiting()) if (!(await this.#pause())) return false;
		return true;
	}

	/**
	 * The stream no longer has what is missing up to `offset`: with a short history, a burst removes publications before anyone can read them. But pub/sub
	 * delivers them, in order. So they are lost only if a later one has come by pub/sub, or none for a while.
	 */
	async #reachOrSkipTo(offset: number): Promise<boolean> {
		let waitMs = retryMs;
		while (this.#last < offset) {
			const last = this.#last;
			if (!(await this.#appendAllWaiting())) return false;
			if (this.#last > last) waitMs = retryMs;
			if (this.#last >= offset) break;
			const { next } = this.#waiting;
			if (next !== null || waitMs > announcedMsMax) {
				if (!(await this.#skipTo(Math.min(offset, next === null ? offset : next.offset - 1)))) return false;
			} else if (!(await this.#pause(waitMs))) return false;
			else waitMs *= 2;
		}
		return true;
	}

	/** The history was removed, up to an offset that the log has. */
	async #forget(removed: number): Promise<boolean> {
		if (this.#last < removed) return true;
		while (!this.#parts.log.removeHistory(this.name)) if (!(await this.#pause())) return false;
		this.#removed = removed;
		return true;
	}

	/** The first read, or the channel has a new epoch. */
	async #enter(position: Position): Promise<boolean> {
		const { log, restarted, limitsOf } = this.#parts;
		const epochs = epochParts(position.epoch);
		// Another program writes to these keys.
		if (epochs === null || limitsOf(this.name) === null) return false;
		const logged = log.history(this.name, { limit: 0 });
		if (logged === null) return this.#tryAgain();
		const isEnded = logged.given?.epoch === nobodysEpoch && logged.position.offset === nobodys.offset;
		const fedEpoch = logged.given === undefined || isEnded ? null : logged.given.epoch;
		const goesOn = fedEpoch === position.epoch && logged.position.offset > 0;
		// Start here, or at the position of the former feeder: subscribers have the former epoch.
		const isNew = !goesOn && (this.#epoch !== null || fedEpoch !== null);
		this.#epoch = position.epoch;
		this.#epochs = epochs;
		this.#hasReached = false;
		this.#mustRead = true;
		if (goesOn) this.#last = logged.position.offset;
		else if (isNew) {
			this.#last = 0;
			if (!(await this.#breakOff())) return false;
		} else {
			const since = this.#since?.epoch === position.epoch ? this.#since.offset : position.offset;
			this.#last = Math.min(since, position.offset);
			// Perhaps its feeder has died, and the log has forgotten the channel: then subscribers may lack publications.
			const hidden = logged.given === undefined ? "gap" : "position";
			if (this.#last > 0 && !(await this.#hide(hidden))) return false;
		}
		if (isNew) restarted(this.name);
		return true;
	}

	#reach(): void {
		if (this.#hasReached && this.isInLog()) return;
		this.#hasReached = true;
		if (this.isInLog()) this.#parts.reached(this);
		else void this.#hide().then((isHidden) => isHidden && this.#parts.reached(this));
	}

	/** Publications up to `offset` are gone. */
	async #skipTo(offset: number): Promise<boolean> {
		this.#parts.counts.lost += offset - this.#last;
		this.#last = offset;
		return (await this.#hide("gap")) && this.#pause(gapPauseMs);
	}

	/** A trusted server without the last publications has taken over, and assigns their offsets again. */
	async #goBack(offset: number): Promise<boolean> {
		this.#last = offset;
		this.#waiting.clear();
		return (await this.#breakOff()) && (offset === 0 || this.#hide());
	}

	/**
	 * The offsets that subscribers know are void, which they are told before anything later. Unlike after `end`, who feeds the channel next brings all
	 * there is of it, if this feeder dies: clients may have subscribed again.
	 */
	async #breakOff(): Promise<boolean> {
		const { log } = this.#parts;
		for (;;) {
			const logged = log.position(this.name);
			if (logged !== null) {
				const offset = (logged.epoch === nobodysEpoch ? logged.offset : nobodys.offset) + 1;
				if (this.#mirror(nothing, { offset, hidden: "gap" }, [nobodys.epoch0, nobodys.epoch1])) return true;
			}
			if (!(await this.#pause())) return false;
		}
	}

	/** Tells the log the position. With "gap", publications up to it are lost: the log's readers tell subscribers before they deliver later ones. */
	async #hide(hidden: "position" | "gap" = "position"): Promise<boolean> {
		while (!this.#mirror(nothing, { offset: this.#last, hidden })) if (!(await this.#pause())) return false;
		return true;
	}

	/** @param isRead from the stream. */
	#bring(offset: number, bytes: Buffer, isRead = false): boolean {
		const { node, counts, broker } = this.#parts;
		const stored = broker.decode(bytes);
		const { brought } = counts;
		let isIn = false;
		if (stored !== null) {
			const { data, kind, delta, info, tags, senderId: id, senderLife: life } = stored;
			const isOurs = stored.node.id0 === node.id0 && stored.node.id1 === node.id1;
			isIn = this.#mirror(data, { offset, kind, delta, info, tags, sender: isOurs && id !== 0 ? { id, life } : undefined });
		} else {
			isIn = this.#mirror(nothing, { offset, hidden: "gap" });
			if (isIn) counts.unreadable++;
		}
		if (isIn) this.#last = offset;
		if (isRead) counts.caughtUp += counts.brought - brought;
		return isIn;
	}

	/** False = the log has no room now. */
	#mirror(data: Uint8Array, options: Mirrored, [epoch0, epoch1] = this.#epochs): boolean {
		const { log, limitsOf, counts } = this.#parts;
		const history = limitsOf(this.name);
		// The channel no longer keeps history.
		if (history === null) return true;
		const outcome = log.mirror(this.name, data, { ...options, history, epoch0, epoch1 });
		if (outcome === "published" && options.hidden === undefined) counts.brought++;
		if (outcome !== "too_large") return outcome === "published" || outcome === "known";
		const isIn = this.#mirror(nothing, { offset: options.offset, hidden: "gap" });
		if (isIn) counts.unreadable++;
		return isIn;
	}

	async #tryAgain(): Promise<boolean> {
		this.#mustRead = true;
		return this.#pause();
	}

	/** False = it is over. */
	async #pause(ms = retryMs): Promise<boolean> {
		await new Promise((resolve) => setTimeout(resolve, ms));
		return !this.#stopped;
	}
}

function readMaxFor(entries: readonly { readonly bytes: Buffer }[]): number {
	const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
	return Math.max(readMost.min, Math.min(readMost.max, Math.floor((readBytes * entries.length) / Math.max(1, bytes))));
}
