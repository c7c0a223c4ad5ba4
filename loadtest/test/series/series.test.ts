import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { seriesCsv } from "../../src/series/csv.ts";
import { intervalSecondsFor, pointsMax } from "../../src/series/series.ts";
import { SeriesCollector } from "../../src/series/series-collector.ts";
import { type IntervalPart, IntervalRecorder } from "../../src/thread/interval-recorder.ts";
import { measured } from "../support/results.ts";

const idle = { utilization: 0, lagP99Ms: 0, lagMaxMs: 0, gcShare: 0, gcMaxMs: 0, cpuMs: 0 };

describe("IntervalRecorder", () => {
	it("tells each interval's latencies by the time at which they came, short and long ones", () => {
		const parts: IntervalPart[] = [];
		const recorder = new IntervalRecorder(
			{ startMs: 1000, intervalMs: 500 },
			() => idle,
			(part) => parts.push(part),
		);
		recorder.record(1001, 0.5);
		recorder.record(1499, 0.5);
		recorder.record(1500, 70_123.4);
		recorder.record(3100, -1);
		recorder.advance(3200);
		recorder.record(3300, 1e9);
		recorder.flush();
		expect(parts.map(({ index, latencies }) => [index, [...latencies]])).toEqual([
			[0, [500, 2]],
			[1, [70_123_000, 1]],
			[4, [1, 1, 119_999_000, 1]],
		]);
	});
});

describe("SeriesCollector", () => {
	const part = (index: number, latencies: number[], usage: object = {}): IntervalPart => ({
		index,
		latencies: Uint32Array.from(latencies),
		usage: { ...idle, ...usage },
	});
	beforeEach(() => void vi.useFakeTimers());
	afterEach(() => void vi.useRealTimers());

	it("puts together what threads tell and what is counted, interval by interval", () => {
		const counters = { open: 0, opened: 0, failed: 0, sent: 0, generatorCpuMs: 0, serverCpuMs: 100 as number | null };
		const stages = [{ from: 0, to: 20, ms: 2000 }];
		const collector = new SeriesCollector(1, stages, () => ({ ...counters }));
		expect(collector.start(5000)).toEqual({ startMs: 5000, intervalMs: 1000 });
		Object.assign(counters, { open: 9, opened: 10, failed: 1, sent: 4, generatorCpuMs: 300, serverCpuMs: 600 });
		vi.advanceTimersByTime(1000);
		collector.add(part(0, [1000, 98, 9000, 1], { utilization: 0.2, cpuMs: 100, lagMaxMs: 3 }));
		collector.add(part(0, [9000, 1], { utilization: 0.6, cpuMs: 100, gcShare: 0.05 }));
		Object.assign(counters, { open: 19, opened: 20, sent: 10, serverCpuMs: null });
		vi.advanceTimersByTime(900);
		const { points, intervalSeconds, lateParts } = collector.finish();
		expect({ intervalSeconds, lateParts }).toEqual({ intervalSeconds: 1, lateParts: 0 });
		expect(points).toEqual([
			expect.objectContaining({
				second: 0,
				clients: 9,
				clientsWanted: 10,
				connects: 10,
				connectsFailed: 1,
				sent: 4,
				deliveries: 100,
				generatorCpuPercent: 50,
				generatorBusyPercent: 60,
				generatorLagMs: 3,
				generatorGcPercent: 5,
				serverCpuPercent: 50,
			}),
			expect.objectContaining({
				second: 1,
				clients: 19,
				clientsWanted: 20,
				connects: 10,
				sent: 6,
				deliveries: 0,
				p99Ms: null,
				serverCpuPercent: null,
			}),
		]);
		expect(points[0].p50Ms).toBeCloseTo(1, 2);
		expect(points[0].p99Ms).toBeCloseTo(9, 1);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("is bounded: the last point takes what comes later, and a thread that is far behind is counted", () => {
		const collector = new SeriesCollector(1, null, () => ({
			open: 0,
			opened: 0,
			failed: 0,
			sent: 0,
			generatorCpuMs: 0,
			serverCpuMs: null,
		}));
		collector.start(0);
		collector.add(part(0, [1000, 1]));
		collector.add(part(200, [1000, 1]));
		collector.add(part(0, [1000, 1]));
		for (let late = 0; late < 500; late++) collector.add(part(pointsMax + late, [1000, 1]));
		const { points, lateParts } = collector.finish();
		expect(points).toHaveLength(pointsMax);
		expect(points.at(-1)!.deliveries).toBe(500);
		expect(points[0].deliveries).toBe(1);
		expect(lateParts).toBe(1);
	});

	it("has longer intervals for a longer load, never more than the most points", () => {
		expect([1, 3_600, 3_601, 86_400, 7 * 86_400].map((seconds) => intervalSecondsFor(seconds * 1000))).toEqual([1, 1, 2, 30, 300]);
	});
});

describe("CSV", () => {
	it("has a line per interval, and nothing where nothing is known", () => {
		expect(seriesCsv(measured.series!)).toBe(
			[
				"time,second,clients,clients_wanted,connects,connects_failed,sent,deliveries,p50_ms,p90_ms,p95_ms,p99_ms,p999_ms,max_ms,generator_cpu_percent,generator_busy_percent,generator_lag_ms,generator_gc_percent,server_cpu_percent",
				"2026-11-28T08:00:00.000Z,0,19,,0,0,5,50,1,1,1,9,9,9,10,20,1.235,0,",
				"2026-11-28T08:00:01.000Z,1,19,,0,0,5,0,,1,1,9,9,9,10,20,1.235,0,",
				"",
			].join("\n"),
		);
	});
});
