import { withDeadline } from "@shardcast/process";

/** Questions that may wait for the other process's answer at once; more are refused. A scrape asks one. */
const pendingMax = 16;

/** Questions put to another process by message that wait for their answers. One thread; each wait has a deadline. */
export class PendingReplies {
	readonly #whom: string;
	readonly #waiting = new Map<number, (data: unknown) => void>();
	#nextId = 1;

	/** @param whom the other process, for the error messages. */
	constructor(whom: string) {
		this.#whom = whom;
	}

	/**
	 * @param send puts the question with this id; false when the other process is gone.
	 * Rejects then, when no answer comes within the deadline, and when too many are waiting.
	 */
	async wait(what: string, deadlineMs: number, send: (id: number) => boolean): Promise<unknown> {
		if (this.#waiting.size >= pendingMax) throw new Error(`${pendingMax} questions are waiting for ${this.#whom} already`);
		const id = this.#nextId++;
		const answer = new Promise<unknown>((resolve) => this.#waiting.set(id, resolve));
		try {
			if (!send(id)) throw new Error(`${this.#whom} is gone`);
			return await withDeadline(answer, deadlineMs, `the ${what} of ${this.#whom}`);
		} finally {
			this.#waiting.delete(id);
		}
	}

	/** An answer that nobody waits for any more is dropped. */
	settle(id: number, data: unknown): void {
		this.#waiting.get(id)?.(data);
	}
}
