import { Deadlines } from "../deadlines.ts";
import type { RawUserSession } from "./raw-user-session.ts";

export interface RawExpiryParts {
	/** Read at each use. */
	readonly closeDelayMs: () => number;
	/** Monotonic, in seconds. */
	readonly now: () => number;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** When the tokens of raw clients expire: one wheel for all, that turns once a second. */
export class RawExpiry {
	readonly #parts: RawExpiryParts;
	readonly #deadlines: Deadlines;

	constructor(parts: RawExpiryParts) {
		this.#parts = parts;
		this.#deadlines = new Deadlines(parts.now());
	}

	/** Clients whose tokens expire. */
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

	/** Call it about once a second. */
	tick(): void {
		this.#deadlines.tick(this.#parts.now());
	}
}
