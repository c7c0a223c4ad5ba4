import type { Question } from "../asking/question.ts";

/**
 * A call of the admin interface, from a process that a client has reached over HTTP, and the supervisor's answer. The caller is already admitted.
 * Its types are those of the HTTP package.
 */
export const adminQuestion = <Call, Answer>(): Question<Call, never, Answer> => ({
	name: "admin",
	asks: "nobody",
	// Longer than a call waits for events.
	deadlineMs: 5000,
	isOrder: true,
	check: (data) => data as never,
});

/** Longest wait for events of such a call: the connection of a client that waits for an answer lives for a few seconds. */
export const adminCallWaitMsMax = 3000;
