import { type ProducerRecord, producedBytes } from "../client/produced-record.ts";

interface Held {
	readonly letter: ProducerRecord;
	readonly bytes: number;
	readonly atMs: number;
}

export interface HeldLettersLimits {
	readonly lettersMax: number;
	readonly bytesMax: number;
	/** How long a copy is kept: as long as it can take to find out that the shard that writes them is dead. */
	readonly ageMsMax: number;
}

/** Copies of the dead letters that another shard writes, in case it dies first. When full, the oldest are dropped. */
export class HeldLetters {
	readonly #limits: HeldLettersLimits;
	readonly #nowMs: () => number;
	#held: Held[] = [];
	/** Those before this one have been dropped; the array is cut now and then. */
	#first = 0;
	#bytes = 0;

	constructor(limits: HeldLettersLimits, nowMs: () => number = () => performance.now()) {
		this.#limits = limits;
		this.#nowMs = nowMs;
	}

	/** @returns how many were dropped before their time. */
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

	/** All that are not too old, in the order in which they came; none is left. */
	take(): ProducerRecord[] {
		const nowMs = this.#nowMs();
		const held = this.#held.slice(this.#first).filter(({ atMs }) => nowMs - atMs <= this.#limits.ageMsMax);
		this.#held = [];
		this.#first = 0;
		this.#bytes = 0;
		return held.map(({ letter }) => letter);
	}
}
