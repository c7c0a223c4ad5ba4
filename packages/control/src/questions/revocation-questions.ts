import type { Question } from "../asking/question.ts";
import type { Questions } from "../asking/questions.ts";
import type { RevocationChange } from "../revocations/revocation-file.ts";
import type { RevocationOutcome, RevocationStore } from "../revocations/revocation-store.ts";
import type { Revocation } from "../revocations/revocations.ts";
import { revocationChange } from "./requests.ts";
import { order, sum } from "./user-questions.ts";

/** Stores a change for shards that start later, and on disk if there is a folder. Asked before the change is sent to the shards. */
export const storeRevocationQuestion: Question<RevocationChange, never, RevocationOutcome> = {
	name: "keep_revocation",
	asks: "nobody",
	deadlineMs: 5000,
	isOrder: true,
	check: (data) => data as never,
};

/** All stored revocations, for a starting shard. */
export const revocationsQuestion: Question<null, never, readonly Revocation[]> = {
	name: "revocations",
	asks: "nobody",
	deadlineMs: 1000,
	check: (data) => data as never,
};

/** Applies a change on all shards of all nodes, or the whole list on the shards of one node. They end connections and subscriptions that are now refused, and answer how many. */
export const revokeQuestion = order<RevocationChange | "all">("revoke", {
	check: (data) => (data === "all" ? data : revocationChange(data)),
	// It reads the list in Redis before it is back.
	returning: true,
});

/** Registers the list, and how the shards' parts are merged into an answer. */
export function answerRevocations(questions: Pick<Questions, "add">, kept: () => Pick<RevocationStore, "change" | "list">): void {
	questions.add(storeRevocationQuestion, (_, { request }) => kept().change(request));
	questions.add(revocationsQuestion, () => kept().list);
	questions.add(revokeQuestion, sum);
}
