import type { TraceContext } from "./trace-context.ts";

/** As in OpenTelemetry. */
export const SpanKind = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;
export type SpanKind = (typeof SpanKind)[keyof typeof SpanKind];

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** One step of a trace, when it has ended. Plain data, so that a worker thread can send it. */
export interface Span {
	readonly name: string;
	readonly kind: SpanKind;
	readonly context: TraceContext;
	/** 16 hexadecimal digits; "" = the first of its trace. */
	readonly parentId: string;
	/** Milliseconds since 1970, with fractions. */
	readonly startMs: number;
	readonly endMs: number;
	readonly attributes: SpanAttributes;
	/** What failed, in a word or a sentence without a client's data; absent = it succeeded. */
	readonly error?: string;
}
