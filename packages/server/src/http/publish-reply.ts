import { type ErrorCode, httpErrors, json, type Reply, refusal } from "@shardcast/http";
import type { FullReason, PublishAccepted, PublishRefused, PublishResult } from "@shardcast/wire";

/** Why a message was not published. */
export interface Problem {
	readonly code: ErrorCode;
	readonly message: string;
}

const published = json(200, { result: {} });

/** The reply to a published message, with its position if it has one. */
export function publishedReply({ position }: PublishAccepted): Reply {
	return position === undefined ? published : json(200, { result: position });
}

export const rateLimited: Problem = { code: "too_many_requests", message: httpErrors.too_many_requests.message };
const busFull: Problem = { code: "too_many_requests", message: "the bus is full; try again" };
const historyFull = (message: string = httpErrors.history_full.message): Problem => ({ code: "history_full", message });
/** What is lacking, since this decides how long it lasts and what helps. */
const historyFullBy: Record<FullReason | "broker", Problem> = {
	broker: { code: "unavailable", message: "Redis, which gives the order of this channel, takes nothing at present; try again" },
	locked: historyFull(),
	readers: historyFull(),
	memory: historyFull("the machine has no shared memory left for the history of this channel; try again"),
	keys: historyFull("all idempotency keys are in use (--idempotency-keys), each for five minutes; try again later"),
};
const stopped: Problem = { code: "forbidden", message: "a handler did not let this message through" };
const failed: Problem = { code: "internal", message: "a handler failed on this message" };

export const isAccepted = (result: PublishResult | Problem): result is PublishAccepted =>
	"outcome" in result && result.outcome === "accepted";

/** Why a message was refused. */
export function problemOf(result: PublishRefused): Problem {
	switch (result.outcome) {
		case "full":
			return result.reason === undefined ? busFull : historyFullBy[result.reason];
		case "stopped":
			return stopped;
		case "failed":
			return failed;
		case "too_large":
			return { code: "too_large", message: result.detail! };
		case "invalid":
			return { code: "bad_request", message: result.detail! };
		case "unacknowledged":
			return { code: "unavailable", message: result.reason === "broker" ? result.detail! : `Kafka did not take it: ${result.detail}` };
	}
}

/** Whether the same message may succeed in a moment. */
export function isTransient({ code }: Problem): boolean {
	return httpErrors[code].retryAfterSeconds > 0;
}

/**
 * The reply to a batch: 200 when every message was published, otherwise the status of the first failure; with an entry for each message, in
 * order.
 * @param outcomes one per message.
 */
export function batchReply(outcomes: readonly (PublishAccepted | Problem)[]): Reply {
	const problems = outcomes.map((outcome) => (isAccepted(outcome) ? null : outcome));
	const first = problems.findIndex((problem) => problem !== null);
	const failures = problems.filter((problem) => problem !== null).length;
	const results = outcomes.map((outcome) => (isAccepted(outcome) ? (outcome.position ?? {}) : { error: outcome }));
	const result = { published: problems.length - failures, failed: failures, results };
	if (first < 0) return json(200, { result });
	const { code, message } = problems[first]!;
	const reply = refusal(code, undefined, { close: false });
	return { ...json(reply.status, { error: { code, message: `message ${first}: ${message}` }, result }), headers: reply.headers };
}
