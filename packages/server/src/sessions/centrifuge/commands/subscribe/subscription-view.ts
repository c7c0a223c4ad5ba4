import { type Channel, tagFilter } from "@shardcast/channels";
import { ErrorCode, type SubscribeRequest } from "@shardcast/protocol";
import { type SubscriptionView, wholeView } from "../../audience/subscription.ts";

/**
 * Validates what a subscriber asks for. A filter that is not allowed or malformed is an error; unavailable deltas are silently left out.
 * Patterns support neither. With a filter there are no deltas, since the subscriber does not have every publication.
 */
export function viewOf(
	{ options, history, isPattern }: Channel,
	{ tf, delta }: Pick<SubscribeRequest, "tf" | "delta">,
): SubscriptionView | ErrorCode {
	if (tf !== null) {
		const filter = options.allowTagsFilter && !isPattern ? tagFilter(tf) : null;
		return filter === null || "problem" in filter ? ErrorCode.badRequest : { filter, delta: false };
	}
	// A publisher that does not get its own publications lacks the base of the next delta.
	const takesDeltas = history !== null && !isPattern && options.allowedDeltaTypes.includes(delta) && !options.excludePublisher;
	return takesDeltas ? { filter: null, delta: true } : wholeView;
}
