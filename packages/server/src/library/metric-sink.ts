import { withDeadline } from "@shardcast/process";
import type { Log, MetricValues } from "@shardcast/telemetry";
import { checkMs } from "./arguments.ts";

/** One value of a metric; a histogram gives one for each bucket, its sum and its count. */
export interface MetricSample {
	readonly name: string;
	readonly type: string;
	readonly labels: Readonly<Record<string, string | number>>;
	readonly value: number;
}

/** Receives metrics from a server that Prometheus does not scrape. */
export interface MetricSink {
	/** Milliseconds between two calls, from 1 to 2147483647. */
	readonly everyMs: number;
	/** Not called again while a returned promise is pending. */
	write(samples: readonly MetricSample[]): void | Promise<void>;
}

/** At shutdown, the time for values that are being written already, in milliseconds. */
const earlierMsMax = 1000;

interface SinkFeedParts {
	readonly sink: MetricSink;
	readonly values: () => Promise<readonly MetricValues[]>;
	readonly log: Pick<Log, "warn">;
}

/** Calls the sink at its interval. A failure is logged once, until the sink works again. */
export class SinkFeed {
	readonly #parts: SinkFeedParts;
	#timer: NodeJS.Timeout | null = null;
	/** Null = nothing is being written. */
	#writing: Promise<void> | null = null;
	#failing = false;

	constructor(parts: SinkFeedParts) {
		this.#parts = parts;
	}

	start(): void {
		this.#timer = setInterval(() => void this.write(), this.#parts.sink.everyMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	/** Writes the last values at shutdown, and waits at most `deadlineMs`. Never rejects. */
	async writeLast(deadlineMs: number): Promise<void> {
		try {
			// What is being written now was read earlier.
			if (this.#writing !== null) await withDeadline(this.#writing, Math.min(deadlineMs, earlierMsMax), "the metric sink");
			await withDeadline(this.write(), deadlineMs, "the metric sink");
		} catch {
			this.#parts.log.warn({ deadlineMs }, "the metric sink did not accept the last values in time");
		}
	}

	/** Does nothing while values are being written. Never rejects. */
	write(): Promise<void> {
		this.#writing ??= this.#write().finally(() => {
			this.#writing = null;
		});
		return this.#writing;
	}

	async #write(): Promise<void> {
		const { sink, values, log } = this.#parts;
		try {
			await sink.write((await values()).flatMap(samplesOf));
			this.#failing = false;
		} catch (error) {
			if (!this.#failing) log.warn({ error }, "the metric sink failed");
			this.#failing = true;
		}
	}
}

/** @throws RangeError for an invalid interval, TypeError without a function. */
export function checkSink(sink: MetricSink): void {
	checkMs("metricSink.everyMs", sink.everyMs);
	if (typeof sink.write !== "function") throw new TypeError("metricSink.write must be a function that accepts the samples");
}

function samplesOf({ name, type, values }: MetricValues): MetricSample[] {
	return values.map(({ labels, value, metricName }) => ({ name: metricName ?? name, type, labels, value }));
}
