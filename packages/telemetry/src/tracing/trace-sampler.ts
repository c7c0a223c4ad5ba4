import { nextContext, type TraceContext } from "./trace-context.ts";

/** Most traces that one process records in a second. Who publishes decides what is sampled, and must not make a flood of spans of it. */
const tracesPerSecondMax = 1000;

/**
 * Decides which traces are recorded: what the parent has sampled, and a share of those that begin here. **One thread.**
 *
 * Bound: 1,000 traces a second; those above are counted, and continue without a trace.
 */
export class TraceSampler {
	/** Traces that were left out because there were too many in their second. */
	limited = 0;
	readonly #share: () => number;
	readonly #nowMs: () => number;
	readonly #random: () => number;
	#second = Number.NaN;
	#taken = 0;

	/** @param share of the traces that begin here, from 0 to 1; asked each time. */
	constructor(share: () => number, nowMs: () => number = () => performance.now(), random: () => number = Math.random) {
		this.#share = share;
		this.#nowMs = nowMs;
		this.#random = random;
	}

	/** The context of the span to record; null = it is not recorded. @param parent null = the trace begins here. */
	sample(parent: TraceContext | null): TraceContext | null {
		if (!(parent === null ? this.#random() < this.#share() : parent.isSampled)) return null;
		const second = Math.floor(this.#nowMs() / 1000);
		if (second !== this.#second) {
			this.#second = second;
			this.#taken = 0;
		}
		if (this.#taken >= tracesPerSecondMax) {
			this.limited++;
			return null;
		}
		this.#taken++;
		return nextContext(parent);
	}
}
