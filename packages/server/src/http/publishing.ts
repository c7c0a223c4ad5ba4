import type { Counters } from "@shardcast/scoreboard";
import type { PublishResult } from "@shardcast/wire";
import type { Incoming, MessageSource } from "../delivery/incoming/incoming.ts";
import type { PublishRate } from "../limits/publish-rate.ts";
import type { PublishRequest } from "./publish-request.ts";

/** What all methods that publish over HTTP need. */
export interface PublishingParts {
	readonly incoming: Pick<Incoming, "publish">;
	readonly rate: Pick<PublishRate, "take">;
	readonly counters: Pick<Counters, "add">;
	readonly payloadBytesMax: number;
	/** `monotonicMs`. */
	readonly nowMs: () => number;
}

/** The problem with the length of a message; null = none. */
export function tooLarge(
	{ payloadBytesMax }: Pick<PublishingParts, "payloadBytesMax">,
	{ payload }: Pick<PublishRequest, "payload">,
): string | null {
	return payload.length <= payloadBytesMax ? null : `the message is ${payload.length} bytes; the most is ${payloadBytesMax}`;
}

/** Publishes a message, unless its source exceeds the rate: "rate", which is counted. */
export function publishWithinRate(
	{ rate, nowMs, counters, incoming }: PublishingParts,
	{ kind, channels, payload, details }: PublishRequest,
	source: MessageSource,
): PublishResult | Promise<PublishResult> | "rate" {
	if (rate.take(source, nowMs())) return incoming.publish(kind, channels, payload, source, "http", details);
	counters.add("rateLimited", 1);
	return "rate";
}
