import { ErrorCode } from "@shardcast/protocol";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import { parseDirect } from "../direct-request.ts";
import { isAccepted } from "../publish-reply.ts";
import { type PublishingParts, tooLarge } from "../publishing.ts";
import type { ApiCall, ApiMethod } from "./api-call.ts";
import { ApiError } from "./api-error.ts";

interface DirectMethodsParts extends Omit<PublishingParts, "incoming"> {
	readonly incoming: Pick<Incoming, "direct">;
	/** Other nodes get the message by another way. */
	readonly nodeOnly: boolean;
}

/** Messages to connections, outside of channels: on all shards of all nodes, each connection once. */
export function directMethods(parts: DirectMethodsParts): Readonly<Record<"send_to_user" | "send_to_all", ApiMethod>> {
	const send = ({ body, request }: ApiCall, toUser: boolean): string => {
		const { rate, nowMs, counters, incoming, nodeOnly } = parts;
		const message = parseDirect(body, toUser);
		const problem = tooLarge(parts, message);
		if (problem !== null) throw new ApiError(ErrorCode.limitExceeded, problem);
		request.takePublications(1);
		if (!rate.take(request.source, nowMs())) {
			counters.add("rateLimited", 1);
			throw new ApiError(ErrorCode.tooManyRequests);
		}
		if (!isAccepted(incoming.direct({ ...message, nodeOnly }))) throw new ApiError(ErrorCode.tooManyRequests, "the bus is full");
		return "{}";
	};
	return { send_to_user: (call) => send(call, true), send_to_all: (call) => send(call, false) };
}
