import { type ErrorCode, httpErrors, json, type Reply, refusal } from "@shardcast/http";
import type { PublishResult } from "@shardcast/wire";

/** Why a message was not published. */
export interface Problem {
	readonly code: ErrorCode;
	readonly message: string;
}

export const published = json(200, { result: {} });

export const rateLimited: Problem = { code: "too_many_requests", message: httpErrors.too_many_requests.message };
const busFull: Problem = { code: "too_many_requests", message: "the bus is full; try again" };
const stopped: Problem = { code: "forbidden", message: "a handler did not let this message through" };
const failed: Problem = { code: "internal", message: "a handler failed on this message" };

/** Null = it was taken. */
export function problemOf(result: PublishResult): Problem | null {
	switch (result.outcome) {
		case "taken":
			return null;
		case "full":
			return busFull;
		case "stopped":
			return stopped;
		case "failed":
			return failed;
		case "unacknowledged":
			return { code: "unavailable", message: `Kafka did not take it: ${result.detail}` };
	}
}

/** The same message may be taken in a moment. */
export function isTransient({ code }: Problem): boolean {
	return httpErrors[code].retryAfterSeconds > 0;
}

/**
 * To a batch: 200 when every message was published, else the status of the first that was not, with an entry for each message in order.
 * @param problems one per message; null = it was published.
 */
export function batchReply(problems: readonly (Problem | null)[]): Reply {
	const first = problems.findIndex((problem) => problem !== null);
	const failures = problems.filter((problem) => problem !== null).length;
	const results = problems.map((problem) => (problem === null ? {} : { error: problem }));
	const result = { published: problems.length - failures, failed: failures, results };
	if (first < 0) return json(200, { result });
	const { code, message } = problems[first]!;
	const reply = refusal(code, undefined, { close: false });
	return { ...json(reply.status, { error: { code, message: `message ${first}: ${message}` }, result }), headers: reply.headers };
}
