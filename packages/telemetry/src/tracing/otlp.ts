import type { Span, SpanAttributes } from "./span.ts";

const statusError = 2;

/**
 * The body of an export: `ExportTraceServiceRequest` of OTLP 1.x in its JSON form. Ids are hexadecimal and 64-bit numbers are texts, which is how OTLP
 * differs from the usual JSON of Protocol Buffers.
 *
 * Our own code, because the library for it takes 20 MB and 190 ms of CPU at the start of each process, and requires Node 22.15.
 */
export function otlpJson(
	resource: SpanAttributes,
	scope: { readonly name: string; readonly version: string },
	spans: readonly Span[],
): string {
	return JSON.stringify({
		resourceSpans: [{ resource: { attributes: keyValues(resource) }, scopeSpans: [{ scope, spans: spans.map(spanJson) }] }],
	});
}

function spanJson({ name, kind, context, parentId, startMs, endMs, attributes, error }: Span): object {
	return {
		traceId: context.traceId,
		spanId: context.spanId,
		...(context.state !== "" && { traceState: context.state }),
		...(parentId !== "" && { parentSpanId: parentId }),
		name,
		kind,
		startTimeUnixNano: nanoseconds(startMs),
		endTimeUnixNano: nanoseconds(Math.max(startMs, endMs)),
		attributes: keyValues(attributes),
		...(error !== undefined && { status: { code: statusError, message: error } }),
	};
}

/** Exact to the microsecond: a number has no more digits for a time since 1970. */
const nanoseconds = (ms: number): string => `${Math.round(ms * 1000)}000`;

function keyValues(attributes: SpanAttributes): object[] {
	return Object.entries(attributes).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function anyValue(value: string | number | boolean): object {
	if (typeof value === "string") return { stringValue: value };
	if (typeof value === "boolean") return { boolValue: value };
	return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
}

/** What the collector did not take of a request that succeeded. */
export interface Rejected {
	readonly spans: number;
	/** In the collector's words, without characters that could act on a terminal; "" = it does not say. */
	readonly why: string;
}

const nothing: Rejected = { spans: 0, why: "" };
const whyCharactersMax = 200;

/** Reads the reply to a request that succeeded. */
export function rejectedIn(reply: Uint8Array): Rejected {
	try {
		const { partialSuccess } = JSON.parse(Buffer.from(reply).toString()) as {
			partialSuccess?: { rejectedSpans?: string | number; errorMessage?: unknown };
		};
		const spans = Number(partialSuccess?.rejectedSpans ?? 0);
		if (!Number.isSafeInteger(spans) || spans <= 0) return nothing;
		const why = partialSuccess?.errorMessage;
		return { spans, why: typeof why === "string" ? why.slice(0, whyCharactersMax).replaceAll(/\p{C}/gu, " ") : "" };
	} catch {
		// Some collectors answer in another form, or with nothing.
		return nothing;
	}
}
