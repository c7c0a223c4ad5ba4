/** Description of a metric. Names follow Prometheus' conventions: base units, `_total` on counters. */
export interface MetricDescriptor {
	readonly name: string;
	readonly type: "counter" | "gauge" | "histogram";
	/** One sentence. */
	readonly help: string;
	readonly unit: "seconds" | "bytes" | "records" | "messages" | "connections" | "none";
	/** Names of the labels, without `le`. */
	readonly labels: readonly string[];
}

/** A metric whose values are read, at each scrape, from counters that are kept elsewhere. */
export interface ReadMetric<Reading> extends MetricDescriptor {
	readonly sample: (reading: Reading) => Iterable<Sample>;
}

/** Read from the scoreboard by the process that answers the scrape. */
export type BoardMetric = ReadMetric<BoardReading>;

export interface Sample {
	readonly labels: Readonly<Record<string, string>>;
	readonly value: number | HistogramReading;
}

/** A cumulative histogram, as in Prometheus: `counts[i]` values were ≤ `bounds[i]`; `count` and `sum` are of all values. */
export interface HistogramReading {
	readonly bounds: readonly number[];
	readonly counts: readonly number[];
	readonly count: number;
	readonly sum: number;
}

/** What the metrics need from the scoreboard. Times are in milliseconds here and become seconds in the tables. */
export interface BoardReading {
	readonly nowMs: number;
	/** One of `clusterStates`. */
	readonly clusterState: string;
	/** Null = no balancer, as with a single shard. */
	readonly balancer: BalancerReading | null;
	readonly shards: readonly ShardReading[];
	/** Those about the whole cluster. */
	readonly guards: readonly GuardReading[];
}

/** A resource guard. */
export interface GuardReading {
	readonly name: string;
	readonly unit: "percent" | "ms" | "descriptors";
	/** 0 = it does not act. */
	readonly sinceMs: number;
	readonly value: number;
	readonly threshold: number;
	readonly times: number;
}

export interface ShardReading {
	readonly slot: number;
	/** One of `memberStates`. */
	readonly state: string;
	readonly core: number;
	readonly port: number;
	readonly connections: number;
	readonly connectionsMax: number;
	readonly webSockets: number;
	readonly restarts: number;
	readonly handoffsSent: number;
	readonly handoffsReceived: number;
	readonly proxiedOpen: number;
	/** Some of `shardOverloads`. */
	readonly overloads: readonly string[];
	readonly counters: Readonly<Record<string, number>>;
	readonly histograms: Readonly<Record<string, HistogramReading>>;
	readonly guards: readonly GuardReading[];
}

export interface BalancerReading {
	readonly state: string;
	/** One of `balancerModes`. */
	readonly mode: string;
	/** One of `balancerStrategies`. */
	readonly strategy: string;
	readonly pending: number;
	readonly restarts: number;
	readonly counters: Readonly<Record<string, number>>;
	readonly histograms: Readonly<Record<string, HistogramReading>>;
}

/** A metric with its values, in prom-client's JSON form; sent over the fork IPC. */
export interface MetricValues {
	readonly name: string;
	readonly help: string;
	readonly type: string;
	readonly aggregator: string;
	readonly values: readonly {
		readonly labels: Readonly<Record<string, string | number>>;
		readonly value: number;
		/** Name of a part of a histogram: `…_bucket`, `…_sum`, `…_count`. */
		readonly metricName?: string;
	}[];
}
