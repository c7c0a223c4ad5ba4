import type { KeepOutcome, KeptRevocations } from "../revocations/kept-revocations.ts";
import type { RevocationChange } from "../revocations/revocation-file.ts";
import type { Revocation } from "../revocations/revocations.ts";
import type { Question } from "./question.ts";
import type { Questions } from "./questions.ts";
import { order, sum } from "./user-questions.ts";

/** Keeps a change for shards that start later, and on the disk where there is a folder for it. Asked before the shards are told. */
export const keepRevocationQuestion: Question<RevocationChange, never, KeepOutcome> = {
	name: "keep_revocation",
	asks: "nobody",
	deadlineMs: 5000,
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

/** For whoever asks: the list, and how the shards' parts become one answer. */
export function answerRevocations(questions: Pick<Questions, "add">, kept: Pick<KeptRevocations, "change" | "list">): void {
	questions.add(keepRevocationQuestion, (_, { request }) => kept.change(request));
	questions.add(revocationsQuestion, () => kept.list);
	questions.add(revokeQuestion, sum);
}
