import type { Log, MetricValues } from "@shardcast/telemetry";

/** One number of a metric; a histogram gives one for each bucket, its sum and its count. */
export interface MetricSample {
	readonly name: string;
	readonly type: string;
	readonly labels: Readonly<Record<string, string | number>>;
	readonly value: number;
}

/** Where a program takes the metrics that Prometheus does not fetch. */
export interface MetricSink {
	readonly everyMs: number;
	/** While a promise that it returned is pending it is not called again. */
	write(samples: readonly MetricSample[]): void | Promise<void>;
}

export interface SinkFeedParts {
	readonly sink: MetricSink;
	readonly values: () => Promise<readonly MetricValues[]>;
	readonly log: Pick<Log, "warn">;
}

/** Gives the metrics to the sink from time to time. A sink that fails is told of once, until it works again. */
export class SinkFeed {
	readonly #parts: SinkFeedParts;
	#timer: NodeJS.Timeout | null = null;
	#writing = false;
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

	/** Never rejects. */
	async write(): Promise<void> {
		if (this.#writing) return;
		this.#writing = true;
		const { sink, values, log } = this.#parts;
		try {
			await sink.write((await values()).flatMap(samplesOf));
			this.#failing = false;
		} catch (error) {
			if (!this.#failing) log.warn({ error }, "the metric sink failed");
			this.#failing = true;
		} finally {
			this.#writing = false;
		}
	}
}

function samplesOf({ name, type, values }: MetricValues): MetricSample[] {
	return values.map(({ labels, value, metricName }) => ({ name: metricName ?? name, type, labels, value }));
}
