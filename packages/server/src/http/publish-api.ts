import type { Config } from "@shardcast/config";
import { type BodyRoute, type HttpRequest, type Reply, refusal } from "@shardcast/http";
import type { PublishAccepted, PublishResult } from "@shardcast/wire";
import type { MessageSource } from "../delivery/incoming/incoming.ts";
import type { Commit, Feature } from "../lifecycle/feature.ts";
import type { PublishRate } from "../limits/publish-rate.ts";
import { type PublishTracing, RequestSpan } from "../tracing/request-span.ts";
import type { ApiAccess } from "./api-access.ts";
import type { ApiKey } from "./api-keys.ts";
import { batchReply, isAccepted, isTransient, type Problem, problemOf, publishedReply, rateLimited } from "./publish-reply.ts";
import { type PublishRequest, PublishRequestError, parsePublish } from "./publish-request.ts";
import { type PublishingParts, publishWithinRate, tooLarge } from "./publishing.ts";

export interface PublishApiParts extends PublishingParts {
	readonly rate: Pick<PublishRate, "take" | "perSecond">;
	readonly access: Pick<ApiAccess, "publisher" | "refuseChannel">;
	/** Absent = requests are not traced. */
	readonly tracing?: PublishTracing | null;
}

/** How many bytes of JSON one payload byte may need: a control character is written \\u0000. */
const jsonBytesPerPayloadByte = 6;
const jsonEnvelopeBytes = 4096;

/**
 * `POST /api/publish`: reports whether a message, or each message of a batch, was accepted (200), or why not (400, 401, 403, 413, 429, 500,
 * 503). Independent of sockets: it gets a head, then a body, and returns a reply.
 */
export class PublishApi implements Feature {
	readonly name = "publish";
	readonly route: BodyRoute;
	readonly routes: readonly BodyRoute[];
	readonly #parts: PublishApiParts;
	#draining = false;

	constructor(parts: PublishApiParts) {
		this.#parts = parts;
		this.route = {
			kind: "body",
			method: "POST",
			path: "/api/publish",
			forPages: true,
			keepAlive: true,
			query: ["channel"],
			bodyBytesMax: parts.payloadBytesMax * jsonBytesPerPayloadByte + jsonEnvelopeBytes,
			bodyHint: `a message has at most ${parts.payloadBytesMax}`,
			begin: (request) => this.#begin(request),
		};
		this.routes = [this.route];
	}

	reload({ messageRate }: Config): Commit {
		return () => {
			this.#parts.rate.perSecond = messageRate;
		};
	}

	/** From now on, new requests are refused. The listener waits for those in progress. */
	drain(): void {
		this.#draining = true;
	}

	#begin(request: HttpRequest): ReturnType<BodyRoute["begin"]> {
		if (this.#draining) return refusal("shutting_down");
		const key = this.#parts.access.publisher(request);
		if ("status" in key) return key;
		const contentType = request.header("content-type");
		const { query } = request;
		const { tracing } = this.#parts;
		const span = tracing == null ? null : RequestSpan.begin(tracing, request, "/api/publish");
		if (span === null) return (body) => this.#take(request, key, contentType, query, body, null);
		return (body) => span.endsWith(this.#take(request, key, contentType, query, body, span));
	}

	#take(
		from: HttpRequest,
		key: ApiKey,
		contentType: string,
		query: string,
		body: Uint8Array,
		span: RequestSpan | null,
	): Reply | Promise<Reply> {
		let parsed: PublishRequest | readonly PublishRequest[];
		try {
			parsed = parsePublish(contentType, query, body);
		} catch (error) {
			if (!(error instanceof PublishRequestError)) throw error;
			return refusal(error.code, error.message, { close: false });
		}
		if (!key.allowsEveryChannel && !isAllowed(key, parsed)) return this.#parts.access.refuseChannel(key);
		if (span !== null) parsed = span.traced(parsed);
		return "payload" in parsed ? this.#one(parsed, from) : this.#batch(parsed, from);
	}

	#one(message: PublishRequest, from: HttpRequest): Reply | Promise<Reply> {
		const problem = tooLarge(this.#parts, message);
		if (problem !== null) return refusal("too_large", problem, { close: false });
		const result = this.#publish(message, from);
		return result instanceof Promise ? result.then(replyTo) : replyTo(result);
	}

	/**
	 * Publishes in order. The first message that finds no space ends the batch: later ones would overtake it when the publisher sends it again.
	 * When a handler waits, later messages wait in the queue of this batch, and are refused there if it has ended. Kafka's answers are awaited
	 * at the end, together.
	 */
	#batch(messages: readonly PublishRequest[], from: HttpRequest): Reply | Promise<Reply> {
		for (const [index, message] of messages.entries()) {
			const problem = tooLarge(this.#parts, message);
			if (problem !== null) return refusal("too_large", `message ${index}: ${problem}`, { close: false });
		}
		const source: MessageSource = {
			get address() {
				return from.address;
			},
			batch: { isOver: false },
		};
		const results: (Outcome | Promise<Outcome>)[] = [];
		let isWaiting = false;
		for (const message of messages) {
			const result = this.#publish(message, source);
			if (result instanceof Promise) {
				isWaiting = true;
				results.push(result);
				continue;
			}
			if (!isAccepted(result) && isTransient(result)) {
				const left = messages.length - results.length;
				if (result === rateLimited) this.#parts.counters.add("rateLimited", left - 1);
				for (let count = 0; count < left; count++) results.push(result);
				break;
			}
			results.push(result);
		}
		return isWaiting ? Promise.all(results).then(batchReply) : batchReply(results as Outcome[]);
	}

	#publish(message: PublishRequest, from: MessageSource): Outcome | Promise<Outcome> {
		const result = publishWithinRate(this.#parts, message, from);
		return result instanceof Promise ? result.then(outcomeOf) : outcomeOf(result);
	}
}

type Outcome = PublishAccepted | Problem;

function outcomeOf(result: PublishResult | "rate"): Outcome {
	if (result === "rate") return rateLimited;
	return isAccepted(result) ? result : problemOf(result);
}

function replyTo(outcome: Outcome): Reply {
	return isAccepted(outcome) ? publishedReply(outcome) : refusal(outcome.code, outcome.message, { close: false });
}

function isAllowed(key: ApiKey, parsed: PublishRequest | readonly PublishRequest[]): boolean {
	const messages = "payload" in parsed ? [parsed] : parsed;
	return messages.every(({ channels: { names } }) => names.length > 0 && names.every((name) => key.allowsChannel(name)));
}
