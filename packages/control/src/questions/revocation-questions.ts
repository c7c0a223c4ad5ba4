import { type Revocation, type RevocationKind, Revocations } from "../revocations.ts";
import type { Question } from "./question.ts";
import type { Questions } from "./questions.ts";
import { order, sum } from "./user-questions.ts";

/** One that begins, or ends. */
export type RevocationChange = { readonly add: Revocation } | { readonly remove: { readonly kind: RevocationKind; readonly id: string } };

/** Keeps a change for shards that start later. False = there are too many. Asked before the shards are told. */
export const keepRevocationQuestion: Question<RevocationChange, never, boolean> = {
	name: "keep_revocation",
	asks: "nobody",
	deadlineMs: 1000,
	isOrder: true,
	check: (data) => data as never,
};

/** All that are kept, for a shard that starts. */
export const revocationsQuestion: Question<null, never, readonly Revocation[]> = {
	name: "revocations",
	asks: "nobody",
	deadlineMs: 1000,
	check: (data) => data as never,
};

/** Brings a change into force on all shards, which end the connections and subscriptions that are refused now. Says how many. */
export const revokeQuestion = order<RevocationChange>("revoke");

/** For whoever asks, who keeps the revocations as long as it lives. */
export function answerRevocations(questions: Pick<Questions, "add">): void {
	const kept = new Revocations();
	questions.add(keepRevocationQuestion, (_, { request }) => {
		if ("add" in request) return kept.add(request.add);
		kept.remove(request.remove.kind, request.remove.id);
		return true;
	});
	questions.add(revocationsQuestion, () => kept.list);
	questions.add(revokeQuestion, sum);
}
