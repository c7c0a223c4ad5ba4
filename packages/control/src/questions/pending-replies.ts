import { withDeadline } from "@shardcast/process";
import { questionsMax } from "./question.ts";

/** How a question that was put to another process ended. */
export type Reply = { readonly data: unknown } | { readonly error: string };

/** Questions put to another process by message that wait for their answers. One thread; each wait has a deadline. Bound: `questionsMax`. */
export class PendingReplies {
	readonly #whom: string;
	readonly #waiting = new Map<number, (reply: Reply) => void>();
	#nextId = 1;

	/** @param whom the other process, for the error messages. */
	constructor(whom: string) {
		this.#whom = whom;
	}

	/**
	 * @param send puts the question with this id; false when the other process is gone.
	 * Rejects then, when the other process cannot answer, when no answer comes within the deadline, and when too many are waiting.
	 */
	async wait(what: string, deadlineMs: number, send: (id: number) => boolean): Promise<unknown> {
		if (this.#waiting.size >= questionsMax) throw new Error(`${questionsMax} questions are waiting for ${this.#whom} already`);
		const id = this.#nextId++;
		const answer = new Promise<Reply>((resolve) => this.#waiting.set(id, resolve));
		try {
			if (!send(id)) throw new Error(`${this.#whom} is gone`);
			const reply = await withDeadline(answer, deadlineMs, `the ${what} of ${this.#whom}`);
			if ("error" in reply) throw new Error(reply.error);
			return reply.data;
		} finally {
			this.#waiting.delete(id);
		}
	}

	/** An answer that nobody waits for any more is dropped. */
	settle(id: number, reply: Reply): void {
		this.#waiting.get(id)?.(reply);
	}

	/** The other process is gone: nobody waits for it any longer. */
	gone(): void {
		for (const settle of this.#waiting.values()) settle({ error: `${this.#whom} is gone` });
	}
}

/** Settles a question that came from the other process. */
export async function replyOf(answer: Promise<unknown> | undefined): Promise<Reply> {
	try {
		return { data: await answer };
	} catch (error) {
		return { error: error instanceof Error ? error.message : String(error) };
	}
}
