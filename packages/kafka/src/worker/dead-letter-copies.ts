import { type ProducerRecord, producedBytes } from "../client/produced-record.ts";

interface Held {
	readonly letter: ProducerRecord;
	readonly bytes: number;
	readonly atMs: number;
}

export interface DeadLetterCopiesLimits {
	readonly lettersMax: number;
	readonly bytesMax: number;
	/** How long a copy is kept: the time it can take to notice that the writing shard is dead. */
	readonly ageMsMax: number;
}

/** Copies of the dead letters that another shard writes, in case it dies first. When full, the oldest are dropped. */
export class DeadLetterCopies {
	readonly #limits: DeadLetterCopiesLimits;
	readonly #nowMs: () => number;
	#held: Held[] = [];
	/** Index of the first copy. The entries before it were dropped; the array is trimmed occasionally. */
	#first = 0;
	#bytes = 0;

	constructor(limits: DeadLetterCopiesLimits, nowMs: () => number = () => performance.now()) {
		this.#limits = limits;
		this.#nowMs = nowMs;
	}

	/** @returns how many copies were dropped early for lack of room. */
	add(letter: ProducerRecord): number {
		const nowMs = this.#nowMs();
		const { lettersMax, bytesMax, ageMsMax } = this.#limits;
		const bytes = producedBytes(letter);
		this.#held.push({ letter, bytes, atMs: nowMs });
		this.#bytes += bytes;
		let early = 0;
		for (;;) {
			const oldest = this.#held[this.#first]!;
			const isOld = nowMs - oldest.atMs > ageMsMax;
			if (!isOld && this.#held.length - this.#first <= lettersMax && this.#bytes <= bytesMax) break;
			this.#bytes -= oldest.bytes;
			this.#first++;
			if (!isOld) early++;
			if (this.#first === this.#held.length) break;
		}
		if (this.#first * 2 > this.#held.length) {
			this.#held = this.#held.slice(this.#first);
			this.#first = 0;
		}
		return early;
	}

	/** Removes and returns all copies that are not too old, in order. */
	take(): ProducerRecord[] {
		const nowMs = this.#nowMs();
		const held = this.#held.slice(this.#first).filter(({ atMs }) => nowMs - atMs <= this.#limits.ageMsMax);
		this.#held = [];
		this.#first = 0;
		this.#bytes = 0;
		return held.map(({ letter }) => letter);
	}
}
