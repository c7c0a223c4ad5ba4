import { withDeadline } from "@shardcast/process";
import { questionsMax } from "./question.ts";

/** The outcome of a question to another process. */
export type Reply = { readonly data: unknown } | { readonly error: string };

/** Questions sent to another process that wait for their answers. One thread. Each wait has a deadline. Bound: `questionsMax`. */
export class PendingReplies {
	readonly #whom: string;
	readonly #waiting = new Map<number, (reply: Reply) => void>();
	#nextId = 1;

	/** @param whom name of the other process, for error messages. */
	constructor(whom: string) {
		this.#whom = whom;
	}

	/**
	 * Sends a question and waits for its answer. Rejects when the other process is gone or cannot answer, after the deadline, or when too many
	 * questions are waiting.
	 * @param send sends the question with this id; returns false when the other process is gone.
	 */
	async wait(what: string, deadlineMs: number, send: (id: number) => boolean): Promise<unknown> {
		if (this.#waiting.size >= questionsMax) throw new Error(`${questionsMax} questions are already waiting for ${this.#whom}`);
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

	/** Passes on an answer. Drops it if nothing waits for it any more. */
	settle(id: number, reply: Reply): void {
		this.#waiting.get(id)?.(reply);
	}

	/** Fails all waits. Call when the other process is gone. */
	gone(): void {
		for (const settle of this.#waiting.values()) settle({ error: `${this.#whom} is gone` });
	}
}

/** Makes the reply to a question of the other process. */
export async function replyOf(answer: Promise<unknown> | undefined): Promise<Reply> {
	try {
		return { data: await answer };
	} catch (error) {
		return { error: error instanceof Error ? error.message : String(error) };
	}
}
