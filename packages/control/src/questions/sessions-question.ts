import type { SessionAnswer, SessionRequest } from "@shardcast/selection";
import type { Question } from "../asking/question.ts";

/**
 * Which nodes the clients of these users or connections belong to; see `SessionRequest`. The answers have the order of the requests, of which there are at
 * most 500. Answered by the process that keeps the membership.
 */
export const sessionsQuestion: Question<readonly SessionRequest[], never, readonly SessionAnswer[]> = {
	name: "sessions",
	asks: "nobody",
	deadlineMs: 3000,
	// It may assign a node, so it is never shared.
	isOrder: true,
	check: () => {
		throw new Error("nobody has a part of this answer");
	},
};
