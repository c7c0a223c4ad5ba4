import { BufferLimits } from "./buffer-tiers.ts";

/** How many views all buffers of a pool keep. */
export class ViewBudget {
	/** Kept views. */
	count = 0;
	/** Views made: each is an object for the garbage collector. */
	made = 0;
	/** Views given up because there were `viewsMax`. */
	forgotten = 0;
	readonly viewsMax: number;

	constructor(viewsMax: number = BufferLimits.viewsMax) {
		this.viewsMax = viewsMax;
	}
}

/**
 * Views of one buffer by length, so that sending a frame makes no object: a `Uint8Array` is 100 bytes for the garbage collector.
 * The pool gives out the buffer that came back last, so few buffers are in use at a time, and those have soon seen most lengths.
 *
 * Bound: those of all buffers together, by the budget. When it is used up, a buffer that wants one more gives up its own views, or keeps
 * only the latest.
 */
export class BufferViews {
	readonly #bytes: Buffer;
	readonly #start: number;
	readonly #budget: ViewBudget;
	readonly #keepsAll: boolean;
	#latest: Uint8Array;
	#byLength: Map<number, Uint8Array> | null = null;

	/** @param start of all views. @param keepsAll or only the latest. */
	constructor(bytes: Buffer, start: number, budget: ViewBudget, keepsAll: boolean) {
		this.#bytes = bytes;
		this.#start = start;
		this.#budget = budget;
		this.#keepsAll = keepsAll;
		this.#latest = bytes;
	}

	to(end: number): Uint8Array {
		const length = end - this.#start;
		// The first latest is the whole buffer, and no view.
		if (this.#latest.length === length && this.#latest !== this.#bytes) return this.#latest;
		const view = this.#byLength?.get(length) ?? this.#make(length);
		this.#latest = view;
		return view;
	}

	/** Gives back what it has taken of the budget. */
	clear(): void {
		this.#budget.count -= this.#byLength?.size ?? 0;
		this.#byLength = null;
		this.#latest = this.#bytes;
	}

	#make(length: number): Uint8Array {
		const view = this.#bytes.subarray(this.#start, this.#start + length);
		this.#budget.made++;
		if (!this.#keepsAll) return view;
		if (this.#budget.count >= this.#budget.viewsMax) {
			if (this.#byLength === null || this.#byLength.size === 0) return view;
			this.#budget.forgotten += this.#byLength.size;
			this.#budget.count -= this.#byLength.size;
			this.#byLength.clear();
		}
		this.#byLength ??= new Map();
		this.#byLength.set(length, view);
		this.#budget.count++;
		return view;
	}
}
