import { ErrorCode } from "@shardcast/protocol";
import { channelList, type PublishResult } from "@shardcast/wire";
import { isAccepted } from "../publish-reply.ts";
import { type PublishRequest, parseBroadcast, parsePublish } from "../publish-request.ts";
import { type PublishingParts, publishWithinRate, tooLarge } from "../publishing.ts";
import type { ApiMethod, ApiRequest, JsonText } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { errorText } from "./api-reply.ts";

/** The methods publish, as a command of a batch, and broadcast. Payloads are published as written in the body. */
export function publishMethods(parts: PublishingParts): Readonly<Record<"publish" | "broadcast", ApiMethod>> {
	const publish = async ({ source, span }: ApiRequest, given: PublishRequest): Promise<JsonText> => {
		const message = span === null ? given : { ...given, details: span.details(given.details) };
		const problem = tooLarge(parts, message);
		if (problem !== null) throw new ApiError(ErrorCode.limitExceeded, problem);
		const result = await publishWithinRate(parts, message, source);
		if (result === "rate") throw new ApiError(ErrorCode.tooManyRequests);
		if (!isAccepted(result)) throw problemOf(result);
		return JSON.stringify(result.position ?? {});
	};
	return {
		publish: (call) => {
			const message = parsePublish("", "", call.body);
			// An array would be a batch within a batch.
			if (!("payload" in message)) throw new ApiError(ErrorCode.badRequest, "it must be an object");
			call.request.takePublications(1);
			const { names } = message.channels;
			for (const name of names.length === 0 ? [""] : names) call.check(name);
			return publish(call.request, message);
		},
		broadcast: async (call) => {
			const { names, message } = parseBroadcast(call.body);
			call.request.takePublications(names.length);
			for (const name of names) call.check(name);
			// All publications start in this step, in order: none waits for another.
			const responses = await Promise.all(
				names.map((name) =>
					publish(call.request, { ...message, channels: channelList([name]) }).then(
						(result) => `{"result":${String(result)}}`,
						(error) => errorText(error),
					),
				),
			);
			return `{"responses":[${responses.join(",")}]}`;
		},
	};
}

function problemOf(result: Exclude<PublishResult, { readonly outcome: "accepted" }>): ApiError {
	switch (result.outcome) {
		case "full":
			return result.reason === undefined
				? new ApiError(ErrorCode.tooManyRequests, "the bus is full")
				: new ApiError(ErrorCode.internal, "the history of this channel has no room now; try again");
		case "stopped":
			return new ApiError(ErrorCode.permissionDenied, "a handler did not let this message through");
		case "too_large":
			return new ApiError(ErrorCode.limitExceeded, result.detail);
		case "invalid":
			return new ApiError(ErrorCode.badRequest, result.detail);
		default:
			return new ApiError(ErrorCode.internal, result.detail);
	}
}
