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

/** A message on its way to one client. */
export interface LaneItem {
	readonly frame: SharedFrame;
	readonly isBinary: boolean;
	/** Null = not a publication but a reply, a ping or another push. Such a message is never dropped. */
	readonly rule: LaneRule | null;
	/** Under keep-latest, a newer publication replaces the one with the same key. */
	readonly key: string | null;
}

/**
 * The messages that wait for one client, in order. The caller decides what to drop; the queue only finds the oldest publication that may be
 * dropped. All operations except `removeAll` and `clear` take constant time.
 *
 * A message counts for at least what its entry costs in memory, so the limit in bytes also limits the number of messages.
 */
export class LaneQueue {
	readonly #items = new Set<LaneItem>();
	/** The items that may be dropped, in the same order. */
	readonly #droppable = new Set<LaneItem>();
	/** Points to the first item. Kept, because a new iterator of a Set skips all entries that were deleted from its front. */
	#first: Iterator<LaneItem> | null = null;
	#firstDroppable: Iterator<LaneItem> | null = null;
	/** The last result of `#firstDroppable`. */
	#oldest: LaneItem | undefined;
	readonly #latest = new Map<string, Map<string, LaneItem>>();
	readonly #memory: LaneMemory;
	#publications = 0;
	#publicationBytes = 0;
	#otherBytes = 0;

	constructor(memory: LaneMemory) {
		this.#memory = memory;
	}

	get isEmpty(): boolean {
		return this.#items.size === 0;
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
		return this.#droppable.size;
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
		this.#items.add(item);
		if (item.rule !== null && item.rule.policy !== "disconnect") this.#droppable.add(item);
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
		this.#first ??= this.#items.values();
		const { done, value } = this.#first.next();
		if (done) {
			// An iterator that has ended does not see items that are added later.
			this.#first = null;
			return undefined;
		}
		this.remove(value);
		return value;
	}

	/** The oldest publication that may be dropped. */
	oldest(): LaneItem | undefined {
		if (this.#oldest !== undefined && this.#droppable.has(this.#oldest)) return this.#oldest;
		this.#firstDroppable ??= this.#droppable.values();
		const { done, value } = this.#firstDroppable.next();
		if (done) this.#firstDroppable = null;
		this.#oldest = done ? undefined : value;
		return this.#oldest;
	}

	remove(item: LaneItem): void {
		if (!this.#items.delete(item)) return;
		this.#droppable.delete(item);
		this.#count(item, -1);
		this.#memory.give(item.frame);
		if (item.key === null) return;
		const latest = this.#latest.get(item.rule!.of)!;
		if (latest.get(item.key) === item) latest.delete(item.key);
		if (latest.size === 0) this.#latest.delete(item.rule!.of);
	}

	/** Removes all publications of one subscription. */
	removeAll({ of }: LaneRule): void {
		for (const item of this.#items) if (item.rule?.of === of) this.remove(item);
	}

	clear(): void {
		for (const item of this.#items) this.remove(item);
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
