import type { SharedFrame } from "../../delivery/shared-frame.ts";
import { entryBytes, type LaneMemory } from "./lane-memory.ts";

/** What happens to the publications of one subscription when its client reads too slowly. */
export interface LaneRule {
	/**
	 * Identifies the subscription among those of one client. Two rules with the same value belong to the same subscription: its options may have
	 * changed, or its channel may have been forgotten for a while.
	 */
	readonly of: string;
	readonly policy: "disconnect" | "drop-oldest" | "keep-latest";
	/** The tag whose value separates the publications of a channel under keep-latest; "" = the channel has a single state. */
	readonly keyTag: string;
	/**
	 * True = the client can recover what it misses, so nothing is dropped silently: the subscription ends, and the client subscribes again when
	 * it has read that. False = publications may be dropped.
	 */
	readonly recovers: boolean;
}

/** A message on its way to one client. It waits in one queue at most, which links it to its neighbours there. */
export class LaneItem {
	readonly frame: SharedFrame;
	readonly isBinary: boolean;
	/** Null = not a publication but a reply, a ping or another push. Such a message is never dropped. */
	readonly rule: LaneRule | null;
	/** Under keep-latest, a newer publication replaces the one with the same key. */
	readonly key: string | null;
	/** Written by `LaneQueue` only. */
	older: LaneItem | null = null;
	newer: LaneItem | null = null;
	isQueued = false;

	constructor(frame: SharedFrame, isBinary: boolean, rule: LaneRule | null, key: string | null) {
		this.frame = frame;
		this.isBinary = isBinary;
		this.rule = rule;
		this.key = key;
	}

	get mayBeDropped(): boolean {
		return this.rule !== null && this.rule.policy !== "disconnect";
	}
}

/**
 * The messages that wait for one client, in order. The caller decides what to drop; the queue only finds the oldest publication that may be
 * dropped. All operations except `removeAll` and `clear` take constant time.
 *
 * A linked list: with hundreds of slow clients, what a publication costs is the memory that it touches, since none of it is in the CPU's cache any
 * more. A `Set` of items would touch more.
 *
 * A message counts for at least what its entry costs in memory, so the limit in bytes also limits the number of messages.
 */
export class LaneQueue {
	#first: LaneItem | null = null;
	#last: LaneItem | null = null;
	/** The oldest that may be dropped: all before it may not. */
	#oldest: LaneItem | null = null;
	#droppable = 0;
	readonly #latest = new Map<string, Map<string, LaneItem>>();
	readonly #memory: LaneMemory;
	#publications = 0;
	#publicationBytes = 0;
	#otherBytes = 0;

	constructor(memory: LaneMemory) {
		this.#memory = memory;
	}

	get isEmpty(): boolean {
		return this.#first === null;
	}

	/** The number of publications. */
	get publications(): number {
		return this.#publications;
	}

	/** What they take in memory if no other queue holds them. */
	get publicationMemory(): number {
		return this.#publicationBytes + this.#publications * entryBytes;
	}

	/** The number of publications that may be dropped. */
	get droppable(): number {
		return this.#droppable;
	}

	/** Bytes of publications; each counts for at least 128. */
	get publicationBytes(): number {
		return this.#publicationBytes;
	}

	/** Bytes of other messages; each counts for at least 128. */
	get otherBytes(): number {
		return this.#otherBytes;
	}

	/** Appends an item. Returns whether it replaced an older one with the same key. */
	add(item: LaneItem): boolean {
		const older = item.key === null ? undefined : this.#latest.get(item.rule!.of)?.get(item.key);
		if (older !== undefined) this.remove(older);
		item.isQueued = true;
		item.older = this.#last;
		if (this.#last === null) this.#first = item;
		else this.#last.newer = item;
		this.#last = item;
		if (item.mayBeDropped) {
			this.#droppable++;
			this.#oldest ??= item;
		}
		this.#count(item, 1);
		this.#memory.take(item.frame);
		if (item.key !== null) {
			const latest = this.#latest.get(item.rule!.of) ?? new Map<string, LaneItem>();
			latest.set(item.key, item);
			this.#latest.set(item.rule!.of, latest);
		}
		return older !== undefined;
	}

	/** Removes and returns the first item. */
	shift(): LaneItem | undefined {
		const first = this.#first;
		if (first === null) return undefined;
		this.remove(first);
		return first;
	}

	/** The oldest publication that may be dropped. */
	oldest(): LaneItem | undefined {
		return this.#oldest ?? undefined;
	}

	remove(item: LaneItem): void {
		if (!item.isQueued) return;
		const { older, newer } = item;
		if (item.mayBeDropped) this.#droppable--;
		if (item === this.#oldest) {
			// Each item is passed at most once: in the long run this takes constant time.
			let next = newer;
			while (next !== null && !next.mayBeDropped) next = next.newer;
			this.#oldest = next;
		}
		if (older === null) this.#first = newer;
		else older.newer = newer;
		if (newer === null) this.#last = older;
		else newer.older = older;
		item.isQueued = false;
		item.older = null;
		item.newer = null;
		this.#count(item, -1);
		this.#memory.give(item.frame);
		if (item.key === null) return;
		const latest = this.#latest.get(item.rule!.of)!;
		if (latest.get(item.key) === item) latest.delete(item.key);
		if (latest.size === 0) this.#latest.delete(item.rule!.of);
	}

	/** Removes all publications of one subscription. */
	removeAll({ of }: LaneRule): void {
		let item = this.#first;
		while (item !== null) {
			const { newer, rule } = item;
			if (rule?.of === of) this.remove(item);
			item = newer;
		}
	}

	clear(): void {
		while (this.#first !== null) this.remove(this.#first);
	}

	#count({ rule, frame }: LaneItem, sign: number): void {
		const bytes = sign * Math.max(frame.bytes.length, entryBytes);
		if (rule === null) this.#otherBytes += bytes;
		else {
			this.#publications += sign;
			this.#publicationBytes += bytes;
		}
	}
}
