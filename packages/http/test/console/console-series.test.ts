import { describe, expect, it } from "vitest";
import { Series } from "../../console/series.js";

const uppersMs = [1, 10, 100, null];

/** A cluster of one shard whose counters grow by what each second brings: deliveries that took up to 1 ms, 10 ms, 100 ms. */
function seriesOf(seconds: readonly (readonly [number, number, number])[]): Series {
	const series = new Series();
	const counts = [0, 0, 0, 0];
	let deliveries = 0;
	for (const [at, grown] of [[0, 0, 0] as const, ...seconds].entries()) {
		for (const [bucket, count] of grown.entries()) {
			counts[bucket]! += count;
			deliveries += count;
		}
		const counters = { messagesIn: deliveries, deliveries, cpuMs: 0 };
		series.add({
			at: at * 1000,
			monotonicMs: at * 1000,
			shards: [{ id: 0, counters }],
			latency: { uppersMs, counts: [...counts] },
			kafka: null,
		});
	}
	return series;
}

const quick = [40, 0, 0] as const;
const oneLate = [39, 0, 1] as const;
const nothing = [0, 0, 0] as const;
const times = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

describe("latency in the console", () => {
	it("a single late delivery does not become the p99, since it is of the last 10 s and not of the few deliveries of one", () => {
		expect(seriesOf([...times(10, quick), oneLate]).p99.at(-1)).toBeLessThan(1);
	});

	it("one late delivery in forty, second after second, does", () => {
		expect(seriesOf(times(10, oneLate)).p99.at(-1)).toBeGreaterThan(10);
	});

	it("what is older than 10 s is forgotten", () => {
		expect(seriesOf([[0, 0, 400], ...times(9, quick)]).p99.at(-1)).toBeGreaterThan(10);
		expect(seriesOf([[0, 0, 400], ...times(10, quick)]).p99.at(-1)).toBeLessThan(1);
	});

	it("is nothing when nothing was delivered in that time", () => {
		expect(seriesOf([quick, ...times(9, nothing)]).p50.at(-1)).not.toBeNull();
		expect(seriesOf([quick, ...times(10, nothing)]).p50.at(-1)).toBeNull();
	});

	it("begins again with another cluster, whose counters are lower", () => {
		const series = seriesOf([
			[0, 0, 400],
			[0, 0, 400],
		]);
		const snapshot = (at: number, deliveries: number): unknown => ({
			at,
			monotonicMs: at,
			shards: [{ id: 0, counters: { messagesIn: deliveries, deliveries, cpuMs: 0 } }],
			latency: { uppersMs, counts: [deliveries, 0, 0, 0] },
			kafka: null,
		});
		series.add(snapshot(3000, 1));
		expect(series.p99).toEqual([]);
		series.add(snapshot(4000, 101));
		expect(series.p99.at(-1)).toBeLessThan(1);
	});
});
