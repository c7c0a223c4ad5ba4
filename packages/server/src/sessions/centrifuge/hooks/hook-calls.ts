import { ErrorCode } from "@shardcast/protocol";
import { CloseCode } from "@shardcast/wire";
import type { Hook, HookAnswer } from "../../../hooks/hook.ts";
import type { HookFields } from "../../../hooks/hook-request.ts";
import type { HookName, HookResults } from "../../../hooks/hook-results.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { fails, type Outcome } from "../commands/commands.ts";
import { wayOf } from "../framing.ts";

/** The questions about one client that no backend has answered yet. */
interface Pending {
	readonly aborting: AbortController;
	count: number;
}

/**
 * Asks backends about clients. When a client leaves, its questions are given up at once.
 *
 * One owner, the shard's loop. Bound: a client has one command at a time that waits, and one question for each thing of it that expires.
 */
export class HookCalls {
	readonly #failed: (error: unknown) => void;
	readonly #pending = new Map<CentrifugeSession, Pending>();
	/** Of the same questions. None of them rejects. */
	readonly #answers = new Set<Promise<unknown>>();

	/** @param failed told when what follows an answer failed because of a defect, and no command waits for it; the client is closed. */
	constructor(failed: (error: unknown) => void) {
		this.#failed = failed;
	}

	/** Clients with questions that wait for an answer. */
	get count(): number {
		return this.#pending.size;
	}

	/** Whether a backend is asked about the client at this moment. */
	waits(session: CentrifugeSession): boolean {
		return this.#pending.has(session);
	}

	/** "abandoned" = the client has gone, even when an answer came. */
	async ask<H extends HookName>(hook: Hook<H>, session: CentrifugeSession, fields: HookFields): Promise<HookAnswer<H>> {
		const pending = this.#pending.get(session) ?? { aborting: new AbortController(), count: 0 };
		pending.count++;
		this.#pending.set(session, pending);
		const { id: client, user, meta, framing } = session;
		const answering = hook.ask({ client, ...wayOf(framing), user, meta }, fields, session.headers, pending.aborting.signal);
		this.#answers.add(answering);
		try {
			const answer = await answering;
			return session.isGone ? "abandoned" : answer;
		} finally {
			this.#answers.delete(answering);
			pending.count--;
			if (pending.count === 0 && this.#pending.get(session) === pending) this.#pending.delete(session);
		}
	}

	/**
	 * Asks about something that no command waits for, such as a connection that expires. If the backend says so, the client is closed.
	 * @param conclude gets the result; null = things stay as they are for now, after an error or a failure that passes; "failed" = after one
	 * that does not. Not called once the client has gone.
	 */
	askAside<H extends HookName>(
		hook: Hook<H>,
		session: CentrifugeSession,
		fields: HookFields,
		conclude: (result: HookResults[H] | "failed" | null) => void,
	): void {
		const take = (answer: HookAnswer<H>): void => {
			if (answer === "abandoned") return;
			if (answer === "failed") conclude("failed");
			else if (answer === "passed" || "error" in answer) conclude(null);
			else if ("disconnect" in answer) session.disconnect(answer.disconnect.code, answer.disconnect.reason);
			else conclude(answer.result);
		};
		this.ask(hook, session, fields)
			.then(take)
			.catch((error) => {
				this.#failed(error);
				session.close(CloseCode.internalError);
			});
	}

	/** Resolves when the questions of this moment have their answers. */
	async whenAnswered(): Promise<void> {
		await Promise.all(this.#answers);
	}

	/** The client has gone. */
	left(session: CentrifugeSession): void {
		const pending = this.#pending.get(session);
		if (pending === undefined) return;
		this.#pending.delete(session);
		pending.aborting.abort();
	}
}

/** What the client is told when a backend gives no result; where "passed" means something else, the caller handles it. */
export function withoutResult(answer: Exclude<HookAnswer<HookName>, { readonly result: unknown }>): Outcome {
	if (answer === "abandoned") return null;
	if (answer === "failed" || answer === "passed") return fails(ErrorCode.internal);
	return "error" in answer ? { error: answer.error } : { closes: answer.disconnect };
}
