import { describe, expect, it } from "vitest";
import { latencyOf } from "../src/bench/gateway/part.ts";
import { LatencyRecorder, summariseLatency } from "../src/report/latency.ts";

describe("latency", () => {
	it("merges what threads recorded into one distribution, not an average of percentiles", () => {
		const [fast, slow] = [new LatencyRecorder(), new LatencyRecorder()];
		for (let index = 0; index < 990; index++) fast.record(1);
		for (let index = 0; index < 10; index++) slow.record(500);
		const summary = summariseLatency([fast.take(), slow.take()]);
		expect(summary).toMatchObject({ count: 1000, p50Ms: 1, p90Ms: 1, p99Ms: 1 });
		expect(summary.p999Ms).toBeCloseTo(500, -1);
		expect(summary.maxMs).toBeGreaterThanOrEqual(500);
		expect(summary.maxMs).toBeLessThan(501);
	});

	it("agrees with sorting, below and above the range of the exact counts", { tags: ["long"] }, () => {
		const recorder = new LatencyRecorder();
		const values = Array.from({ length: 20_000 }, () => Math.exp(Math.random() * 8) / 10);
		for (const value of values) recorder.record(value);
		values.sort((a, b) => a - b);
		const summary = summariseLatency([recorder.take()]);
		for (const [measured, share] of [
			[summary.p50Ms, 0.5],
			[summary.p90Ms, 0.9],
			[summary.p99Ms, 0.99],
			[summary.p999Ms, 0.999],
		]) {
			const exact = values[Math.ceil(share * values.length) - 1];
			expect(Math.abs(measured - exact) / exact).toBeLessThan(0.01);
		}
	});

	it("forgets what was cleared, below and above the range of the exact counts", () => {
		const recorder = new LatencyRecorder();
		for (const ms of [5, 500, 200_000]) recorder.record(ms);
		recorder.clear();
		recorder.record(1);
		expect(summariseLatency([recorder.take()])).toMatchObject({ count: 1, p50Ms: 1, maxMs: 1 });
	});

	it("forgets what was taken", () => {
		const recorder = new LatencyRecorder();
		recorder.record(5);
		recorder.record(200_000);
		expect(summariseLatency([recorder.take()]).count).toBe(2);
		expect(summariseLatency([recorder.take()])).toMatchObject({ count: 0, p50Ms: 0, maxMs: 0 });
	});

	it("bench:gateway does not take the zeros of no latencies for a result", () => {
		const [one, none] = [new LatencyRecorder(), new LatencyRecorder()];
		one.record(5);
		expect(latencyOf("VIDEO", [one.take(), none.take()])).toMatchObject({ count: 1 });
		expect(() => latencyOf("VIDEO", [none.take(), none.take()])).toThrow("no latency was measured: VIDEO");
	});
});
