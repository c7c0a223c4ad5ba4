import type { Scoreboard } from "@shardcast/scoreboard";

interface CutOffParts {
	readonly board: Pick<Scoreboard, "node">;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** The state is read again after this time. */
const freshMs = 200;

/**
 * Whether this node refuses new clients and subscriptions, because it is cut off from the others and `node.cut_off_policy` says so. Reading it costs a
 * comparison; the state is in shared memory as text, and is read five times a second at most.
 */
export class CutOff {
	readonly #parts: CutOffParts;
	#refuses = false;
	#readMs = Number.NEGATIVE_INFINITY;

	constructor(parts: CutOffParts) {
		this.#parts = parts;
	}

	get refuses(): boolean {
		const { board, nowMs } = this.#parts;
		const now = nowMs();
		if (now - this.#readMs >= freshMs) {
			this.#readMs = now;
			this.#refuses = board.node?.refuses === true;
		}
		return this.#refuses;
	}
}
