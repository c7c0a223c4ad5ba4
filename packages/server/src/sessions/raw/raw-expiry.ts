import { Deadlines } from "../deadlines.ts";
import type { RawUserSession } from "./raw-user-session.ts";

interface RawExpiryParts {
	/** Read at each use. */
	readonly closeDelayMs: () => number;
	/** Monotonic clock, in seconds. */
	readonly now: () => number;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** Closes raw clients when their tokens expire. All share one timer wheel that advances once a second. */
export class RawExpiry {
	readonly #parts: RawExpiryParts;
	readonly #deadlines: Deadlines;

	constructor(parts: RawExpiryParts) {
		this.#parts = parts;
		this.#deadlines = new Deadlines(parts.now());
	}

	/** The number of clients whose tokens expire. */
	get count(): number {
		return this.#deadlines.count;
	}

	opened(session: RawUserSession): void {
		const { now, unixTime, closeDelayMs } = this.#parts;
		this.#deadlines.set(session, now() + session.expiresAt - unixTime() + closeDelayMs() / 1000);
	}

	closed(session: RawUserSession): void {
		this.#deadlines.remove(session);
	}

	/** Must be called about once a second. */
	tick(): void {
		this.#deadlines.tick(this.#parts.now());
	}
}
