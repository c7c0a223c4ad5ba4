import type { MessageDetails } from "@shardcast/bus";
import type { HttpRequest, Reply } from "@shardcast/http";
import {
	type ActiveSpan,
	encodeTraceContext,
	SpanKind,
	type TraceContext,
	TraceHeader,
	type Tracer,
	traceContextOf,
	traceparentOf,
} from "@shardcast/telemetry";
import type { Publishing, PublishResult } from "@shardcast/wire";
import type { PublishRequest } from "../http/publish-request.ts";

/** What the callers of a publish need of tracing. */
export interface PublishTracing {
	readonly tracer: Tracer;
	/** Whether subscribers get the trace as a tag. */
	readonly isTagged: () => boolean;
}

/** A sampled request that publishes: its span, and what its messages carry on. */
export class RequestSpan {
	readonly #span: ActiveSpan;
	readonly #trace: Uint8Array;
	readonly #tag: string | null;

	/** Null = the request is not traced. Call with the head. */
	static begin({ tracer, isTagged }: PublishTracing, request: Pick<HttpRequest, "header">, path: string): RequestSpan | null {
		const parent = traceContextOf(request.header(TraceHeader.parent), request.header(TraceHeader.state));
		const span = tracer.begin(`POST ${path}`, SpanKind.server, parent, {
			"http.request.method": "POST",
			"http.route": path,
			"messaging.system": "shardcast",
			"messaging.operation.type": "send",
		});
		return span === null ? null : new RequestSpan(span, isTagged());
	}

	private constructor(span: ActiveSpan, isTagged: boolean) {
		this.#span = span;
		this.#trace = encodeTraceContext(span.context);
		this.#tag = isTagged ? traceparentOf(span.context) : null;
	}

	/** The details of a message of this request. */
	details(details: MessageDetails | undefined): MessageDetails {
		return tracedDetails(details, this.#trace, this.#tag);
	}

	/** The same message, or messages, with the trace. Notes what is published. */
	traced(published: PublishRequest | readonly PublishRequest[]): PublishRequest | readonly PublishRequest[] {
		if (!("payload" in published)) {
			this.#span.set({ "messaging.batch.message_count": published.length });
			return published.map((message) => ({ ...message, details: this.details(message.details) }));
		}
		const { channels, payload, details } = published;
		this.#span.set({
			...(channels.count === 1 && { "messaging.destination.name": channels.names[0]! }),
			"messaging.message.body.size": payload.length,
		});
		return { ...published, details: this.details(details) };
	}

	/**
	 * Ends with the reply. One that refuses a wrong request is no error of the server: for a server's span, OpenTelemetry's conventions for HTTP leave the
	 * status unset below 500.
	 */
	replied(status: number): void {
		this.#span.set({ "http.response.status_code": status });
		this.#span.end(status >= 500 ? `status ${status}` : undefined);
	}

	/** Ends when the reply is there, and returns it. */
	endsWith(reply: Reply | Promise<Reply>): Reply | Promise<Reply> {
		if (!(reply instanceof Promise)) {
			this.replied(reply.status);
			return reply;
		}
		return reply.then(
			(settled) => {
				this.replied(settled.status);
				return settled;
			},
			(error) => {
				this.replied(500);
				throw error;
			},
		);
	}
}

/** A sampled message of a client, or of the program that runs the server. */
export class MessageSpan {
	readonly #span: ActiveSpan;
	readonly #tag: string | null;

	/** Null = the message is not traced. @param parent null = the trace begins here. */
	static begin(
		{ tracer, isTagged }: PublishTracing,
		parent: TraceContext | null,
		source: string,
		channels: readonly string[],
		bytes: number,
	): MessageSpan | null {
		const span = tracer.begin("publish", SpanKind.producer, parent, {
			"messaging.system": "shardcast",
			"messaging.operation.type": "send",
			...(channels.length === 1 && { "messaging.destination.name": channels[0]! }),
			"messaging.message.body.size": bytes,
			"shardcast.source": source,
		});
		return span === null ? null : new MessageSpan(span, isTagged());
	}

	private constructor(span: ActiveSpan, isTagged: boolean) {
		this.#span = span;
		this.#tag = isTagged ? traceparentOf(span.context) : null;
	}

	details(details: MessageDetails | undefined): MessageDetails {
		return tracedDetails(details, encodeTraceContext(this.#span.context), this.#tag);
	}

	/** Ends with the result, and returns it. */
	endsWith(publishing: Publishing): Publishing {
		if (!(publishing instanceof Promise)) {
			this.#span.end(errorOf(publishing));
			return publishing;
		}
		return publishing.then(
			(result) => {
				this.#span.end(errorOf(result));
				return result;
			},
			(error) => {
				this.#span.end("failed");
				throw error;
			},
		);
	}
}

const errorOf = ({ outcome }: PublishResult) => (outcome === "accepted" ? undefined : outcome);

/** @param tag the trace for subscribers; null = they do not get it. */
export function tracedDetails(details: MessageDetails | undefined, trace: Uint8Array, tag: string | null): MessageDetails {
	return { ...details, trace, ...(tag !== null && { tags: { ...details?.tags, [TraceHeader.parent]: tag } }) };
}
