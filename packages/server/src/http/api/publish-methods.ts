import { ErrorCode } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import { channelList, type PublishResult } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { PublishRate } from "../../limits/publish-rate.ts";
import { isTaken } from "../publish-reply.ts";
import { type PublishRequest, parseBroadcast, parsePublish } from "../publish-request.ts";
import type { ApiMethod, ApiRequest, JsonText } from "./api-call.ts";
import { ApiError } from "./api-error.ts";
import { errorText } from "./api-reply.ts";

export interface PublishMethodsParts {
	readonly incoming: Pick<Incoming, "publish">;
	readonly rate: Pick<PublishRate, "take">;
	readonly counters: Pick<Counters, "add">;
	readonly payloadBytesMax: number;
	/** `monotonicMs`. */
	readonly nowMs: () => number;
}

/** publish, as a command of a batch, and broadcast. Payloads go out as they stand in the body. */
export function publishMethods(parts: PublishMethodsParts): Readonly<Record<"publish" | "broadcast", ApiMethod>> {
	const publish = async (request: ApiRequest, { kind, channels, payload, details }: PublishRequest): Promise<JsonText> => {
		const { incoming, rate, counters, payloadBytesMax, nowMs } = parts;
		if (payload.length > payloadBytesMax)
			throw new ApiError(ErrorCode.limitExceeded, `the message is ${payload.length} bytes; the most is ${payloadBytesMax}`);
		if (!rate.take(request.source, nowMs())) {
			counters.add("rateLimited", 1);
			throw new ApiError(ErrorCode.tooManyRequests);
		}
		const result = await incoming.publish(kind, channels, payload, request.source, "http", details);
		if (!isTaken(result)) throw problemOf(result);
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
			// All are begun in this step, in order: none of them waits for another.
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

function problemOf(result: Exclude<PublishResult, { readonly outcome: "taken" }>): ApiError {
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
