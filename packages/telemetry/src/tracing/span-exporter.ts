import { BoundedLines } from "../bounded-lines.ts";
import type { Log } from "../log.ts";
import { otlpJson, type Rejected, rejectedIn } from "./otlp.ts";
import type { Span, SpanAttributes } from "./span.ts";

/** Sends one POST with this JSON to the collector. Never rejects, and keeps a deadline. */
export interface TraceCaller {
	call(request: { readonly body: Uint8Array; readonly headers: Readonly<Record<string, string>>; readonly isRepeatable: boolean }): Promise<
		| { readonly body: Uint8Array }
		/**
		 * @property status of the reply; 0 = no reply. @property detail a code such as ECONNREFUSED. @property retryAfterMs the pause that the reply asks for;
		 * absent = it asks for none.
		 */
		| { readonly failure: string; readonly status: number; readonly detail: string; readonly retryAfterMs?: number }
		| "abandoned"
	>;
	/** Ends everything immediately. */
	stop(): void;
}

export interface SpanExporterParts {
	readonly caller: TraceCaller;
	readonly headers: Readonly<Record<string, string>>;
	readonly resource: SpanAttributes;
	readonly scope: { readonly name: string; readonly version: string };
	readonly log: Pick<Log, "info" | "warn">;
	/** From 0 to 1, for the jitter. */
	readonly random?: () => number;
	/** How long the first span of a request waits for others. */
	readonly delayMs?: number;
	readonly retryMinMs?: number;
}

const waitingMax = 4096;
const batchMax = 512;
const defaultDelayMs = 1000;
const defaultRetryMinMs = 1000;
const retryMaxMs = 30_000;
/** A collector may ask for a longer pause, up to this one. */
const retryAfterMaxMs = 300_000;
/** With the longest pauses, about a minute and a half: a collector that is away longer has lost more than ours. */
const attemptsMax = 6;
/** The statuses that mean "later", of the standard; 0 = no reply. */
const retryable: ReadonlySet<number> = new Set([0, 429, 502, 503, 504]);
/** One line per this time about spans that a collector rejects: it may do so with each request. */
const rejectedLineMs = 60_000;

/**
 * Sends spans to a collector: batches of 512, one request at a time. Nothing waits for it: whatever the collector does, delivery goes on.
 *
 * One owner, on its loop. Bounds: 4,096 spans wait, further ones are dropped; a batch that fails is sent again up to five times, with growing pauses or
 * those that the collector asks for (`Retry-After`), and then dropped. Both are counted, and the log has one line when exporting begins to fail, one when it
 * works again, and one at the stop if spans are lost by it.
 */
export class SpanExporter {
	/** Spans by what became of them: `dropped` = too many waited; `failed` = the collector did not take them. */
	readonly spans = { exported: 0, dropped: 0, failed: 0 };
	/** Requests by result. */
	readonly requests: Record<string, number> = { ok: 0 };
	readonly #parts: SpanExporterParts;
	#waiting: Span[] = [];
	/** The batch in flight, or waiting for its next attempt. */
	#batch: readonly Span[] = [];
	#attempts = 0;
	#isBusy = false;
	#isFailing = false;
	#isStopped = false;
	/** The collector is left alone until then, whatever spans come. */
	#notBeforeMs = Number.NEGATIVE_INFINITY;
	readonly #rejectedLines = new BoundedLines(rejectedLineMs);
	#timer: NodeJS.Timeout | null = null;
	/** When the timer fires: earlier calls bring it forward. */
	#dueMs = Number.POSITIVE_INFINITY;
	#onIdle: (() => void) | null = null;

	constructor(parts: SpanExporterParts) {
		this.#parts = parts;
	}

	/** Spans that are not sent yet, or not acknowledged. */
	get waiting(): number {
		return this.#waiting.length + this.#batch.length;
	}

	add(span: Span): void {
		if (this.#isStopped || this.#waiting.length >= waitingMax) {
			this.spans.dropped++;
			return;
		}
		this.#waiting.push(span);
		if (this.#isBusy || this.#batch.length > 0) return;
		this.#sendSoon(this.#waiting.length >= batchMax);
	}

	/** Counts spans that were dropped before they came here. */
	addDropped(count: number): void {
		this.spans.dropped += count;
	}

	/** Sends what waits, without delay or pause. Resolves when nothing waits, at the next request that fails, or after this time. */
	async flush(withinMs: number): Promise<void> {
		if (this.waiting === 0) return;
		let timer: NodeJS.Timeout | undefined;
		const idle = new Promise<void>((resolve) => {
			this.#onIdle = resolve;
			timer = setTimeout(resolve, withinMs);
		});
		if (!this.#isBusy) this.#sendIn(0);
		await idle;
		clearTimeout(timer);
		this.#onIdle = null;
	}

	/** Ends at once: spans that wait are dropped. The log says how many, since the metrics end with the process. */
	stop(): void {
		if (this.waiting > 0)
			this.#parts.log.warn({ spans: this.waiting }, `the server stops: ${this.waiting} spans of traces were not exported, and are lost`);
		this.#isStopped = true;
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		this.spans.dropped += this.waiting;
		this.#waiting = [];
		this.#batch = [];
		this.#parts.caller.stop();
		this.#onIdle?.();
	}

	/** Not before the pause after a failure is over. @param isHurried false = it waits for further spans. */
	#sendSoon(isHurried: boolean): void {
		const delayMs = isHurried ? 0 : (this.#parts.delayMs ?? defaultDelayMs);
		this.#sendIn(Math.max(delayMs, this.#notBeforeMs - performance.now()));
	}

	#sendIn(ms: number): void {
		const dueMs = performance.now() + ms;
		if (this.#timer !== null && this.#dueMs <= dueMs) return;
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#dueMs = dueMs;
		this.#timer = setTimeout(() => {
			this.#timer = null;
			void this.#send();
		}, ms);
		// A process that has nothing else to do may end.
		this.#timer.unref();
	}

	async #send(): Promise<void> {
		if (this.#batch.length === 0) this.#batch = this.#waiting.splice(0, batchMax);
		if (this.#batch.length === 0 || this.#isStopped) {
			this.#onIdle?.();
			return;
		}
		const { caller, headers, resource, scope } = this.#parts;
		this.#isBusy = true;
		this.#attempts++;
		const outcome = await caller.call({ body: Buffer.from(otlpJson(resource, scope, this.#batch)), headers, isRepeatable: true });
		this.#isBusy = false;
		if (this.#isStopped) return;
		if (outcome === "abandoned") this.#failed("stopped", 0, "");
		else if ("body" in outcome) this.#done(rejectedIn(outcome.body));
		// Any of 200 to 299 is success, although `Backend` reads the body of 200 only.
		else if (outcome.status > 200 && outcome.status < 300) this.#done({ spans: 0, why: "" });
		else this.#failed(outcome.failure, outcome.status, outcome.detail, outcome.retryAfterMs);
	}

	#done({ spans: rejected, why }: Rejected): void {
		this.#count("ok");
		const taken = Math.max(0, this.#batch.length - rejected);
		this.spans.exported += taken;
		this.spans.failed += this.#batch.length - taken;
		if (rejected > 0) {
			const text = `the collector of traces rejects spans: ${rejected} of ${this.#batch.length}, ${why === "" ? "without a reason" : `because of "${why}"`}`;
			this.#rejectedLines.offer(() => this.#parts.log.warn({ rejected }, text));
		}
		this.#notBeforeMs = Number.NEGATIVE_INFINITY;
		if (this.#isFailing) this.#parts.log.info({}, "traces are exported again");
		this.#isFailing = false;
		this.#next();
	}

	#failed(failure: string, status: number, detail: string, retryAfterMs = 0): void {
		this.#count(failure);
		// A status of success is no reason: then the rest of the reply was too long, or did not come.
		const isStatus = status > 0 && status !== 200;
		const why = isStatus ? `status ${status}` : detail === "" ? failure : `${failure} (${detail})`;
		if (!this.#isFailing)
			this.#parts.log.warn(
				{ failure, ...(status > 0 && { status }) },
				`traces cannot be exported: ${why}. Messages are delivered as before; shardcast_trace_spans_total counts the spans that are lost`,
			);
		this.#isFailing = true;
		this.#onIdle?.();
		this.#notBeforeMs = performance.now() + Math.max(this.#pauseMs(), Math.min(retryAfterMs, retryAfterMaxMs));
		if (retryable.has(status) && this.#attempts < attemptsMax) {
			this.#sendSoon(true);
			return;
		}
		this.spans.failed += this.#batch.length;
		this.#next();
	}

	/** Doubles after each failure, with a jitter of one half: all shards of all nodes send to one collector. */
	#pauseMs(): number {
		const { retryMinMs = defaultRetryMinMs, random = Math.random } = this.#parts;
		return Math.min(retryMaxMs, retryMinMs * 2 ** (this.#attempts - 1)) * (0.5 + random() / 2);
	}

	#next(): void {
		this.#batch = [];
		this.#attempts = 0;
		if (this.#waiting.length === 0) {
			this.#onIdle?.();
			return;
		}
		this.#sendSoon(this.#waiting.length >= batchMax || this.#onIdle !== null);
	}

	#count(result: string): void {
		this.requests[result] = (this.requests[result] ?? 0) + 1;
	}
}
