import { type Channel, tagFilter } from "@shardcast/channels";
import { ErrorCode, type SubscribeRequest } from "@shardcast/protocol";
import { type SubscriptionView, wholeView } from "../../audience/subscription.ts";

/**
 * What a subscriber gets of what it asked for. A filter that is not allowed or not well-formed is an error; deltas that are not available are
 * left out. Patterns have neither. With a filter there are no deltas: the subscriber does not have every publication.
 */
export function viewOf(
	{ options, history, isPattern }: Channel,
	{ tf, delta }: Pick<SubscribeRequest, "tf" | "delta">,
): SubscriptionView | ErrorCode {
	if (tf !== null) {
		const filter = options.allowTagsFilter && !isPattern ? tagFilter(tf) : null;
		return filter === null || "problem" in filter ? ErrorCode.badRequest : { filter, delta: false };
	}
	// A publisher that does not get its own publications does not have what the next delta is made from.
	const takesDeltas = history !== null && !isPattern && options.allowedDeltaTypes.includes(delta) && !options.excludePublisher;
	return takesDeltas ? { filter: null, delta: true } : wholeView;
}
