/** What is done with the publications of one subscription when its client reads too slowly. */
export interface LaneRule {
	/**
	 * The subscription, among those of one client. Two rules with the same one are of the same subscription: its options have changed meanwhile, or its
	 * channel was forgotten for a while.
	 */
	readonly of: string;
	readonly policy: "disconnect" | "drop-oldest" | "keep-latest";
	/** The tag whose value tells the publications of a channel apart for keep-latest; "" = the channel has one state. */
	readonly keyTag: string;
	/**
	 * The client can recover what it misses, so nothing of this subscription is dropped in silence: it ends, and the client subscribes again
	 * when it has read that. False = publications may be dropped.
	 */
	readonly recovers: boolean;
}

/** A message on its way to one client. */
export interface LaneItem {
	readonly frame: Uint8Array;
	readonly isBinary: boolean;
	/** Null = no publication: a reply, a ping, or another push. It is never dropped. */
	readonly rule: LaneRule | null;
	/** What a newer publication with the same key takes the place of, under keep-latest. */
	readonly key: string | null;
}

/** A shorter message counts as so many bytes: that is what it takes here besides its own. So the bound in bytes bounds their number as well. */
const itemBytesMin = 128;

/**
 * What waits for one client, in order. Whoever adds decides what goes: this only finds the oldest publication that may be dropped. All
 * operations but `removeAll` take the same time however much waits.
 */
export class LaneQueue {
	readonly #items = new Set<LaneItem>();
	/** Those of them that may be dropped, in the same order. */
	readonly #droppable = new Set<LaneItem>();
	/** Where the first one is. Kept, since a new iterator of a Set passes over all that were deleted from its front. */
	#first: Iterator<LaneItem> | null = null;
	#firstDroppable: Iterator<LaneItem> | null = null;
	/** What `#firstDroppable` has come to. */
	#oldest: LaneItem | undefined;
	readonly #latest = new Map<string, Map<string, LaneItem>>();
	#publicationBytes = 0;
	#otherBytes = 0;

	get isEmpty(): boolean {
		return this.#items.size === 0;
	}

	/** Bytes of publications, at least 128 for each. */
	get publicationBytes(): number {
		return this.#publicationBytes;
	}

	/** Bytes of all else, at least 128 for each. */
	get otherBytes(): number {
		return this.#otherBytes;
	}

	/** Adds one behind all others. Returns whether it took the place of an older one with its key. */
	add(item: LaneItem): boolean {
		const older = item.key === null ? undefined : this.#latest.get(item.rule!.of)?.get(item.key);
		if (older !== undefined) this.remove(older);
		this.#items.add(item);
		if (item.rule !== null && item.rule.policy !== "disconnect") this.#droppable.add(item);
		this.#count(item, 1);
		if (item.key !== null) {
			const latest = this.#latest.get(item.rule!.of) ?? new Map<string, LaneItem>();
			latest.set(item.key, item);
			this.#latest.set(item.rule!.of, latest);
		}
		return older !== undefined;
	}

	/** Takes the first one out. */
	shift(): LaneItem | undefined {
		this.#first ??= this.#items.values();
		const { done, value } = this.#first.next();
		if (done) {
			// An iterator that has ended sees nothing of what is added later.
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
		if (item.key === null) return;
		const latest = this.#latest.get(item.rule!.of)!;
		if (latest.get(item.key) === item) latest.delete(item.key);
		if (latest.size === 0) this.#latest.delete(item.rule!.of);
	}

	/** Takes all publications of one subscription out. */
	removeAll({ of }: LaneRule): void {
		for (const item of this.#items) if (item.rule?.of === of) this.remove(item);
	}

	#count({ rule, frame }: LaneItem, sign: number): void {
		const bytes = sign * Math.max(frame.length, itemBytesMin);
		if (rule === null) this.#otherBytes += bytes;
		else this.#publicationBytes += bytes;
	}
}
