import { type AllowedOrigins, originAllowed } from "@shardcast/http";
import type { Counters } from "@shardcast/scoreboard";
import type { PublishResult } from "@shardcast/wire";
import type { Incoming } from "../delivery/incoming.ts";
import type { PublishRate } from "../limits/publish-rate.ts";
import { preflight, readableBy } from "./cross-origin.ts";
import { type HttpReply, json, originRefused, refusal, stopping } from "./http-reply.ts";
import { type PublishRequest, PublishRequestError, parsePublish } from "./publish-request.ts";

/** The head of a request to `/api/publish`. Header values are as sent, "" when absent. */
export interface PublishHead {
	readonly method: string;
	readonly query: string;
	readonly contentType: string;
	readonly contentLength: string;
	readonly authorization: string;
	readonly apiKey: string;
	readonly origin: string;
	readonly host: string;
	/** Of the client, behind a trusted proxy as well. */
	readonly address: string;
}

export interface PublishApiParts {
	readonly incoming: Pick<Incoming, "publish">;
	readonly rate: Pick<PublishRate, "take">;
	readonly counters: Counters;
	readonly payloadBytesMax: number;
	readonly allowedOrigins: AllowedOrigins;
	/** Null = open: anybody may publish. */
	readonly isKey: ((given: string) => boolean) | null;
	/** `monotonicMs`. */
	readonly nowMs: () => number;
}

/** How long JSON can get around one payload byte: a control character is written \\u0000. */
const jsonBytesPerPayloadByte = 6;
const jsonEnvelopeBytes = 4096;

/**
 * `POST /api/publish`: whether a message is taken (200) or why not (400, 401, 403, 405, 413, 429, 503). Knows nothing of sockets:
 * a head goes in, then a body, an answer comes out. The size that a head announces is checked before the body is read, the rate once the body is whole.
 */
export class PublishApi {
	/** Longest body that can carry a payload that is allowed. */
	readonly bodyBytesMax: number;
	readonly #parts: PublishApiParts;
	#draining = false;

	constructor(parts: PublishApiParts) {
		this.#parts = parts;
		this.bodyBytesMax = parts.payloadBytesMax * jsonBytesPerPayloadByte + jsonEnvelopeBytes;
	}

	/** From now on no new request is taken. */
	drain(): void {
		this.#draining = true;
	}

	/** The answer for which no body is needed; null = read it. */
	judge(head: PublishHead): HttpReply | null {
		if (!originAllowed(head.origin, head.host, this.#parts.allowedOrigins)) return originRefused(head);
		const reply = this.#judge(head);
		return reply === null ? null : readableBy(head.origin, reply);
	}

	#judge(head: PublishHead): HttpReply | null {
		const { isKey } = this.#parts;
		if (head.method === "options") return preflight();
		if (head.method !== "post") return refusal("method_not_allowed", "publish with POST", { headers: { Allow: "POST, OPTIONS" } });
		if (this.#draining) return stopping();
		if (isKey !== null && !isKey(keyFrom(head)))
			return refusal("unauthorized", "publishing needs the key: send it as X-API-Key or Authorization: Bearer", {
				keepOpen: true,
				headers: { "WWW-Authenticate": "Bearer" },
			});
		if (Number(head.contentLength) > this.bodyBytesMax) return this.#bodyTooLarge();
		return null;
	}

	/** The whole body is there. One that was on its way when the drain began is still taken. */
	publish(head: PublishHead, body: Uint8Array): HttpReply | Promise<HttpReply> {
		const reply = this.#publish(head, body);
		return reply instanceof Promise ? reply.then((later) => readableBy(head.origin, later)) : readableBy(head.origin, reply);
	}

	/** The body turned out to be longer than any that could be taken. */
	bodyTooLarge(head: PublishHead): HttpReply {
		return readableBy(head.origin, this.#bodyTooLarge());
	}

	/** More bodies are being read than there is room for. */
	busy(head: PublishHead): HttpReply {
		return readableBy(head.origin, refusal("unavailable", "too many publishes at once; try again"));
	}

	/** The body came more slowly than any other, and another one needed its room. */
	tooSlow(head: PublishHead): HttpReply {
		return readableBy(head.origin, refusal("too_slow", "the body came too slowly while others waited for its room; send it again"));
	}

	#publish(head: PublishHead, body: Uint8Array): HttpReply | Promise<HttpReply> {
		const { rate, nowMs, counters, payloadBytesMax, incoming } = this.#parts;
		if (!rate.take(head.address, nowMs())) {
			counters.add("rateLimited", 1);
			return refusal("too_many_requests", "more messages per second than one client may publish", { keepOpen: true });
		}
		let request: PublishRequest;
		try {
			request = parsePublish(head.contentType, head.query, body);
		} catch (error) {
			if (!(error instanceof PublishRequestError)) throw error;
			return refusal("bad_request", error.message, { keepOpen: true });
		}
		if (request.payload.length > payloadBytesMax) return this.#payloadTooLarge(request.payload.length);
		const result = incoming.publish(request.kind, request.channels, request.payload, head.address);
		return result instanceof Promise ? result.then(replyTo) : replyTo(result);
	}

	#bodyTooLarge(): HttpReply {
		const { payloadBytesMax } = this.#parts;
		return refusal("too_large", `the body is longer than ${this.bodyBytesMax} bytes; a message has at most ${payloadBytesMax}`);
	}

	#payloadTooLarge(bytes: number): HttpReply {
		return refusal("too_large", `the message is ${bytes} bytes; the most is ${this.#parts.payloadBytesMax}`, { keepOpen: true });
	}
}

const taken = json(200, { result: {} }, { close: false });

function replyTo(result: PublishResult): HttpReply {
	switch (result.outcome) {
		case "taken":
			return taken;
		case "full":
			return refusal("too_many_requests", "the bus is full; try again", { keepOpen: true });
		case "stopped":
			return refusal("forbidden", "a handler did not let this message through", { keepOpen: true });
		case "failed":
			return refusal("internal", "a handler failed on this message", { keepOpen: true });
		case "unacknowledged":
			return refusal("unavailable", `Kafka did not take it: ${result.detail}`, { keepOpen: true });
	}
}

function keyFrom({ apiKey, authorization }: PublishHead): string {
	return apiKey !== "" ? apiKey : authorization.replace(/^(bearer|apikey)\s+/i, "");
}
