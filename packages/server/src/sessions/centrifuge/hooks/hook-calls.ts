import { ErrorCode } from "@shardcast/protocol";
import type { Hook, HookAnswer } from "../../../hooks/hook.ts";
import type { HookName } from "../../../hooks/hook-reply.ts";
import type { HookClient, HookFields } from "../../../hooks/hook-request.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import { fails, type Outcome } from "../commands/commands.ts";

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
	readonly #pending = new Map<CentrifugeSession, Pending>();
	/** Of the same questions. None of them rejects. */
	readonly #answers = new Set<Promise<unknown>>();

	/** Clients with questions that wait for an answer. */
	get count(): number {
		return this.#pending.size;
	}

	/** Never rejects. "abandoned" = the client has gone, even when an answer came. */
	async ask<H extends HookName>(hook: Hook<H>, session: CentrifugeSession, fields: HookFields): Promise<HookAnswer<H>> {
		const pending = this.#pending.get(session) ?? { aborting: new AbortController(), count: 0 };
		pending.count++;
		this.#pending.set(session, pending);
		const answering = hook.ask(aboutClient(session), fields, session.headers, pending.aborting.signal);
		this.#answers.add(answering);
		const answer = await answering;
		this.#answers.delete(answering);
		pending.count--;
		if (pending.count === 0 && this.#pending.get(session) === pending) this.#pending.delete(session);
		return session.isGone ? "abandoned" : answer;
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

/** What the client is told when a backend gives no result. */
export function withoutResult(answer: Exclude<HookAnswer<HookName>, { readonly result: unknown }>): Outcome {
	if (answer === "abandoned") return null;
	if (answer === "failed") return fails(ErrorCode.internal);
	return "error" in answer ? { error: answer.error } : { closes: answer.disconnect };
}

function aboutClient({ id, framing, user, meta }: CentrifugeSession): HookClient {
	return { client: id, transport: framing.transport, protocol: framing.codec.binary ? "protobuf" : "json", user, meta };
}
