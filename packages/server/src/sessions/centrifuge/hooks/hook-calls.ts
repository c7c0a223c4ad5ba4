import { ErrorCode } from "@shardcast/protocol";
import { CloseCode } from "@shardcast/wire";
import { Waiter } from "../../../backend/waiter.ts";
import type { Hook, HookAnswer } from "../../../hooks/hook.ts";
import type { HookFields } from "../../../hooks/hook-request.ts";
import type { HookName, HookResults } from "../../../hooks/hook-results.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { fails, type Outcome } from "../commands/commands.ts";
import { transportOf } from "../framing.ts";

/** The unanswered requests about one client. */
interface Pending {
	readonly waiter: Waiter;
	count: number;
}

/**
 * Asks backends about clients. When a client disconnects, its requests are cancelled.
 *
 * Owned by the shard's loop. Bound: a client has at most one command that waits, and one request for each thing of it that expires.
 */
export class HookCalls {
	readonly #failed: (error: unknown) => void;
	readonly #pending = new Map<CentrifugeSession, Pending>();
	/** Promises of the same requests. None of them rejects. */
	readonly #answers = new Set<Promise<unknown>>();

	/** @param failed called when handling an answer failed because of a defect and no command waits for it. The client is closed. */
	constructor(failed: (error: unknown) => void) {
		this.#failed = failed;
	}

	/** The number of clients with unanswered requests. */
	get count(): number {
		return this.#pending.size;
	}

	/** Whether a request about the client is unanswered. */
	waits(session: CentrifugeSession): boolean {
		return this.#pending.has(session);
	}

	/** "abandoned" = the client has disconnected, even if an answer arrived. */
	async ask<H extends HookName>(hook: Hook<H>, session: CentrifugeSession, fields: HookFields): Promise<HookAnswer<H>> {
		const pending = this.#pending.get(session) ?? { waiter: new Waiter(), count: 0 };
		pending.count++;
		this.#pending.set(session, pending);
		const { id: client, user, meta, framing } = session;
		const answering = hook.ask({ client, ...transportOf(framing), user, meta }, fields, session.headers, pending.waiter);
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
	 * Asks about something that no command waits for, such as an expired connection. Closes the client if the backend says so.
	 * @param conclude gets the result; null = nothing changes for now, after an error or a tolerated failure; "failed" = after any other
	 * failure. Not called once the client has disconnected.
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

	/** Resolves when all present requests have been answered. */
	async whenAnswered(): Promise<void> {
		await Promise.all(this.#answers);
	}

	/** The client has disconnected. */
	left(session: CentrifugeSession): void {
		const pending = this.#pending.get(session);
		if (pending === undefined) return;
		this.#pending.delete(session);
		pending.waiter.goes();
	}
}

/** The outcome when a backend returned no result. Callers for which "passed" means something else handle it themselves. */
export function withoutResult(answer: Exclude<HookAnswer<HookName>, { readonly result: unknown }>): Outcome {
	if (answer === "abandoned") return null;
	if (answer === "failed" || answer === "passed") return fails(ErrorCode.internal);
	return "error" in answer ? { error: answer.error } : { closes: answer.disconnect };
}
