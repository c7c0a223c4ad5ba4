import type { SendReport } from "../../src/generator.ts";
import { emptyResult } from "../../src/load-test.ts";
import { parseOptions } from "../../src/options.ts";
import { encodeLatencies, summariseLatency } from "../../src/report/latency.ts";
import type { LoadTestResult } from "../../src/report/result.ts";
import type { SeriesPoint } from "../../src/series/series.ts";

/** 98 deliveries in 1 ms, and two in 9 ms. */
export const histogram = encodeLatencies([1000, 98, 9000, 2]);

export const send: SendReport = {
	sent: 10,
	planned: 10,
	expected: 100,
	delivery: { received: 100, lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] },
	deliveries: 100,
	latency: { ...summariseLatency([histogram]), p99Ms: 9 },
	histogram,
	nodes: [],
	seconds: 2,
	refusals: {},
	lateMsMax: 1,
	brokenOff: {},
	threads: [{ role: "sends", utilization: 0.5, lagP99Ms: 1, lagMaxMs: 2, gcShare: 0.01, gcMaxMs: 1 }],
	cpuMs: 1,
};

export function point(second: number, change: Partial<SeriesPoint> = {}): SeriesPoint {
	return {
		second,
		clients: 19,
		clientsWanted: null,
		connects: 0,
		connectsFailed: 0,
		sent: 5,
		deliveries: 50,
		p50Ms: 1,
		p90Ms: 1,
		p95Ms: 1,
		p99Ms: 9,
		p999Ms: 9,
		maxMs: 9,
		generatorCpuPercent: 10,
		generatorBusyPercent: 20,
		generatorLagMs: 1.23456,
		generatorGcPercent: 0,
		serverCpuPercent: null,
		histogram,
		...change,
	};
}

/** A whole load test of 20 connections, one of which did not open. */
export const measured: LoadTestResult = {
	...emptyResult(parseOptions(["--connections", "20"], 1000)),
	ramp: { opened: 19, openedByNode: [19], failures: { "refused with 503: full": 1 }, seconds: 1, connectsPerSecond: 19 },
	connects: {
		attempted: 20,
		opened: 19,
		openedByNode: [19],
		failures: { "refused with 503: full": 1 },
		latency: summariseLatency([histogram]),
		histogram,
	},
	send,
	series: {
		startedAt: "2026-11-28T08:00:00.000Z",
		intervalSeconds: 1,
		points: [point(0), point(1, { p50Ms: null, histogram: null, deliveries: 0 })],
		lateParts: 0,
	},
};
