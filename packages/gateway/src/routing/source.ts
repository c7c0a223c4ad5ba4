import type { ConnectionKind } from "../backends/backend-messages.ts";

/** The connections to a backend. */
export type Sources = Readonly<Record<ConnectionKind, Source>>;

/** A connection to a backend, as whose frames wait for clients. */
interface Resumable {
	/** The frame that was not taken is to be offered again. */
	resume(): void;
}

/**
 * A connection to a backend as a source of frames that may not be dropped. Clients hold it when their lane is nearly full, and let it go when there is
 * room again; while one holds it, none of its frames is taken, so that it is not read. One owner, the gateway's loop.
 */
export class Source {
	/** Times that a frame was not taken. */
	pauses = 0;
	/** Clients that hold it. */
	#holds = 0;
	#isWaiting = false;
	readonly #connection: Resumable;

	constructor(connection: Resumable) {
		this.#connection = connection;
	}

	/** Whether a frame may be taken now. If not, it is offered again when no client holds this any more. */
	mayTake(): boolean {
		if (this.#holds === 0) return true;
		if (!this.#isWaiting) this.pauses++;
		this.#isWaiting = true;
		return false;
	}

	hold(): void {
		this.#holds++;
	}

	release(): void {
		if (--this.#holds > 0 || !this.#isWaiting) return;
		this.#isWaiting = false;
		this.#connection.resume();
	}
}
