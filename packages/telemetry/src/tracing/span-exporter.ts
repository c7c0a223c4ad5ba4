import type { Log } from "../log.ts";
import { otlpJson, rejectedSpans } from "./otlp.ts";
import type { Span, SpanAttributes } from "./span.ts";

/** Sends one POST with this JSON to the collector. Never rejects, and keeps a deadline. */
export interface TraceCaller {
	call(request: { readonly body: Uint8Array; readonly headers: Readonly<Record<string, string>>; readonly isRepeatable: boolean }): Promise<
		| { readonly body: Uint8Array }
		/** @property status of the reply; 0 = no reply. @property detail a code such as ECONNREFUSED. */
		| { readonly failure: string; readonly status: number; readonly detail: string }
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
/** With the longest pauses, about a minute and a half: a collector that is away longer has lost more than ours. */
const attemptsMax = 6;
/** The statuses that mean "later", of the standard; 0 = no reply. */
const retryable: ReadonlySet<number> = new Set([0, 429, 502, 503, 504]);

/**
 * Sends spans to a collector: batches of 512, one request at a time. Nothing waits for it: whatever the collector does, delivery goes on.
 *
 * One owner, on its loop. Bounds: 4,096 spans wait, further ones are dropped; a batch that fails is sent again up to five times, with growing pauses,
 * and then dropped. Both are counted, and the log has one line when exporting begins to fail, and one when it works again.
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
		this.#sendIn(this.#waiting.length >= batchMax ? 0 : (this.#parts.delayMs ?? defaultDelayMs));
	}

	/** Counts spans that were dropped before they came here. */
	addDropped(count: number): void {
		this.spans.dropped += count;
	}

	/** Sends what waits, without delay. Resolves when nothing waits, when the collector fails, or after this time. */
	async flush(withinMs: number): Promise<void> {
		if (this.waiting === 0 || this.#isFailing) return;
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

	/** Ends at once: spans that wait are dropped. */
	stop(): void {
		this.#isStopped = true;
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		this.spans.dropped += this.waiting;
		this.#waiting = [];
		this.#batch = [];
		this.#parts.caller.stop();
		this.#onIdle?.();
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
		else if ("body" in outcome) this.#done(rejectedSpans(outcome.body));
		// Any of 200 to 299 is success, although `Backend` reads the body of 200 only.
		else if (outcome.status > 200 && outcome.status < 300) this.#done(0);
		else this.#failed(outcome.failure, outcome.status, outcome.detail);
	}

	#done(rejected: number): void {
		this.#count("ok");
		const taken = Math.max(0, this.#batch.length - rejected);
		this.spans.exported += taken;
		this.spans.failed += this.#batch.length - taken;
		if (this.#isFailing) this.#parts.log.info({}, "traces are exported again");
		this.#isFailing = false;
		this.#next();
	}

	#failed(failure: string, status: number, detail: string): void {
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
		if (!retryable.has(status) || this.#attempts >= attemptsMax) {
			this.spans.failed += this.#batch.length;
			this.#next(this.#pauseMs());
			return;
		}
		this.#sendIn(this.#pauseMs());
	}

	/** Doubles after each failure, with a jitter of one half: all shards of all nodes send to one collector. */
	#pauseMs(): number {
		const { retryMinMs = defaultRetryMinMs, random = Math.random } = this.#parts;
		return Math.min(retryMaxMs, retryMinMs * 2 ** (this.#attempts - 1)) * (0.5 + random() / 2);
	}

	#next(pauseMs = 0): void {
		this.#batch = [];
		this.#attempts = 0;
		if (this.#waiting.length === 0) {
			this.#onIdle?.();
			return;
		}
		const isHurried = this.#waiting.length >= batchMax || this.#onIdle !== null;
		this.#sendIn(Math.max(pauseMs, isHurried ? 0 : (this.#parts.delayMs ?? defaultDelayMs)));
	}

	#count(result: string): void {
		this.requests[result] = (this.requests[result] ?? 0) + 1;
	}
}
