import type {
	BalancerReading,
	BoardReading,
	GuardReading,
	HistogramReading,
	MetricDescriptor,
	ReadMetric,
	Sample,
	ShardReading,
} from "./metric.ts";

// Building blocks of the tables: how a value is read from the scoreboard, and with which labels.

type Numbers = Readonly<Record<string, number>>;

/** The source of a metric's values, and the labels that distinguish them. */
export interface Sampler<Reading = BoardReading> {
	readonly labels: readonly string[];
	readonly sample: (reading: Reading) => Sample[];
}

const metric =
	(type: MetricDescriptor["type"]) =>
	<Reading>(name: string, unit: MetricDescriptor["unit"], help: string, { labels, sample }: Sampler<Reading>): ReadMetric<Reading> => ({
		name,
		type,
		help,
		unit,
		labels,
		sample,
	});
export const counter = metric("counter");
export const gauge = metric("gauge");
export const histogram = metric("histogram");

export const seconds = (ms: number): number => ms / 1000;

const shardLabel = (shard: ShardReading) => ({ shard: String(shard.slot) });

/** One value per shard, label `shard`. */
export function perShard(read: (shard: ShardReading, reading: BoardReading) => number): Sampler {
	return {
		labels: ["shard"],
		sample: (reading) => reading.shards.map((shard) => ({ labels: shardLabel(shard), value: read(shard, reading) })),
	};
}

/** Several values per shard, distinguished by `label`. The table fixes the set of label values. */
export function perShardBy(label: string, read: (shard: ShardReading) => Numbers): Sampler {
	const of = (shard: ShardReading): Sample[] => labelled(label, read(shard), shardLabel(shard));
	return { labels: ["shard", label], sample: ({ shards }) => shards.flatMap(of) };
}

/** A histogram from each shard's row; `scale` converts its unit to the metric's. */
export function perShardHistogram(name: string, scale: (value: number) => number = (value) => value): Sampler {
	return {
		labels: ["shard"],
		sample: ({ shards }) => shards.map((shard) => ({ labels: shardLabel(shard), value: scaled(shard.histograms[name]!, scale) })),
	};
}

/** One value per guard that is on: of each shard, and of the whole cluster as shard "all". */
export function perGuard(read: (guard: GuardReading) => number): Sampler {
	const of = (shard: string, guards: readonly GuardReading[]): Sample[] =>
		guards.map((guard) => ({ labels: { shard, guard: guard.name }, value: read(guard) }));
	return {
		labels: ["shard", "guard"],
		sample: ({ shards, guards }) => [...shards.flatMap((shard) => of(String(shard.slot), shard.guards)), ...of("all", guards)],
	};
}

/** One value for the balancer; none without a balancer. */
export function ofBalancer(read: (balancer: BalancerReading, reading: BoardReading) => number): Sampler {
	return {
		labels: [],
		sample: (reading) => (reading.balancer === null ? [] : [{ labels: {}, value: read(reading.balancer, reading) }]),
	};
}

export function ofBalancerBy(label: string, read: (balancer: BalancerReading) => Numbers): Sampler {
	return { labels: [label], sample: ({ balancer }) => (balancer === null ? [] : labelled(label, read(balancer))) };
}

export function ofBalancerHistogram(name: string, scale: (value: number) => number): Sampler {
	return {
		labels: [],
		sample: ({ balancer }) => (balancer === null ? [] : [{ labels: {}, value: scaled(balancer.histograms[name]!, scale) }]),
	};
}

/** One value. */
export function single<Reading>(read: (reading: Reading) => number): Sampler<Reading> {
	return { labels: [], sample: (reading) => [{ labels: {}, value: read(reading) }] };
}

/** Several values, distinguished by `label`. */
export function singleBy<Reading>(label: string, read: (reading: Reading) => Numbers): Sampler<Reading> {
	return { labels: [label], sample: (reading) => labelled(label, read(reading)) };
}

/** Values of each of several things of a reading, such as webhooks; label `thing`. */
export function perThing<Reading, One>(
	thing: string,
	all: (reading: Reading) => readonly One[],
	nameOf: (one: One) => string,
): {
	/** One value per thing. */
	readonly each: (read: (one: One) => number) => Sampler<Reading>;
	/** Several values per thing, distinguished by `label`. */
	readonly eachBy: (label: string, read: (one: One) => Numbers) => Sampler<Reading>;
} {
	const labelsOf = (one: One) => ({ [thing]: nameOf(one) });
	return {
		each: (read) => ({ labels: [thing], sample: (reading) => all(reading).map((one) => ({ labels: labelsOf(one), value: read(one) })) }),
		eachBy: (label, read) => ({
			labels: [thing, label],
			sample: (reading) => all(reading).flatMap((one) => labelled(label, read(one), labelsOf(one))),
		}),
	};
}

/** 1 for the current state, 0 for the others, so that a query can name a state and sees it end. */
export function oneOf(names: readonly string[], holds: string): Numbers {
	return Object.fromEntries(names.map((name) => [name, name === holds ? 1 : 0]));
}

function labelled(label: string, values: Numbers, more: Readonly<Record<string, string>> = {}): Sample[] {
	return Object.entries(values).map(([name, value]) => ({ labels: { ...more, [label]: name }, value }));
}

function scaled(reading: HistogramReading, scale: (value: number) => number): HistogramReading {
	return { ...reading, bounds: reading.bounds.map(scale), sum: scale(reading.sum) };
}
