import type { Span, SpanAttributes, SpanKind } from "./span.ts";
import type { SpanExporter } from "./span-exporter.ts";
import { nextContext, type TraceContext } from "./trace-context.ts";
import type { TraceSampler } from "./trace-sampler.ts";

/** A span that has begun. Ends once. */
export class ActiveSpan {
	readonly context: TraceContext;
	readonly #end: (span: Span) => void;
	readonly #name: string;
	readonly #kind: SpanKind;
	readonly #parentId: string;
	readonly #startMs: number;
	#attributes: SpanAttributes;

	constructor(
		name: string,
		kind: SpanKind,
		context: TraceContext,
		parentId: string,
		attributes: SpanAttributes,
		end: (span: Span) => void,
	) {
		this.#name = name;
		this.#kind = kind;
		this.context = context;
		this.#parentId = parentId;
		this.#attributes = attributes;
		this.#startMs = unixMs();
		this.#end = end;
	}

	/** Adds attributes. */
	set(attributes: SpanAttributes): void {
		this.#attributes = { ...this.#attributes, ...attributes };
	}

	/** @param error what failed; absent = success. */
	end(error?: string): void {
		this.#end({
			name: this.#name,
			kind: this.#kind,
			context: this.context,
			parentId: this.#parentId,
			startMs: this.#startMs,
			endMs: unixMs(),
			attributes: this.#attributes,
			...(error !== undefined && { error }),
		});
	}
}

/** A change of the system's clock that is smaller is its usual unsteadiness. */
const clockStepMs = 20;
let offsetMs = performance.timeOrigin;

/**
 * Milliseconds since 1970, with fractions: the same in all processes of a machine to a fraction of a millisecond, so that the steps of a trace are in
 * order, and also after the system's clock was set.
 */
export function unixMs(): number {
	const monotonicMs = performance.now();
	const wallMs = Date.now();
	if (Math.abs(wallMs - monotonicMs - offsetMs) > clockStepMs) offsetMs = wallMs - monotonicMs;
	return monotonicMs + offsetMs;
}

/** Begins spans, and passes them to the exporter when they end. **One per process, on its loop.** Exists only where traces are exported. */
export class Tracer {
	readonly #sampler: Pick<TraceSampler, "sample">;
	readonly #exporter: Pick<SpanExporter, "add">;

	constructor(sampler: Pick<TraceSampler, "sample">, exporter: Pick<SpanExporter, "add">) {
		this.#sampler = sampler;
		this.#exporter = exporter;
	}

	/** Begins a span, if its trace is sampled. @param parent from a caller; null = the trace begins here. */
	begin(name: string, kind: SpanKind, parent: TraceContext | null, attributes: SpanAttributes = {}): ActiveSpan | null {
		const context = this.#sampler.sample(parent);
		return context === null ? null : new ActiveSpan(name, kind, context, parent?.spanId ?? "", attributes, this.#ended);
	}

	/** Takes a step of a sampled trace that has ended. @returns its context, for the steps after it. */
	step(parent: TraceContext, span: Omit<Span, "context" | "parentId">): TraceContext {
		const context = nextContext(parent);
		this.#exporter.add({ ...span, context, parentId: parent.spanId });
		return context;
	}

	/** Takes a span as it is, such as one of a worker thread. */
	add(span: Span): void {
		this.#exporter.add(span);
	}

	readonly #ended = (span: Span): void => this.#exporter.add(span);
}
