import { type ActiveSpan, SpanKind, TraceHeader, type Tracer, traceContextOf, traceparentOf } from "@shardcast/telemetry";
import type { CallOutcome } from "../backend/backend.ts";

/** A sampled call of a backend. */
export class CallSpan {
	/** Headers with which the backend continues the trace. */
	readonly headers: Readonly<Record<string, string>>;
	readonly #span: ActiveSpan;

	/**
	 * Null = the call is not traced.
	 * @param forwarded the client's headers that the backend gets. A client's trace is continued only where the options let its headers through:
	 * otherwise each client could decide what is traced.
	 */
	static begin(tracer: Tracer, hook: string, proxy: string, forwarded: Readonly<Record<string, string>>): CallSpan | null {
		const parent = traceContextOf(forwarded[TraceHeader.parent] ?? "", forwarded[TraceHeader.state] ?? "");
		const span = tracer.begin(`${hook} hook`, SpanKind.client, parent, {
			"http.request.method": "POST",
			"shardcast.hook": hook,
			"shardcast.proxy": proxy,
		});
		return span === null ? null : new CallSpan(span);
	}

	private constructor(span: ActiveSpan) {
		this.#span = span;
		const { context } = span;
		this.headers = { [TraceHeader.parent]: traceparentOf(context), ...(context.state !== "" && { [TraceHeader.state]: context.state }) };
	}

	end(outcome: CallOutcome): void {
		if (outcome === "abandoned") {
			this.#span.end(outcome);
			return;
		}
		const failed = "failure" in outcome;
		const status = failed ? outcome.status : 200;
		if (status > 0) this.#span.set({ "http.response.status_code": status });
		this.#span.end(failed ? outcome.failure : undefined);
	}
}
