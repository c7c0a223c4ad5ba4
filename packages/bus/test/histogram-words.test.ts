import { BoardLayout, balancerHistograms, HistogramWords, histogramsAt, Scoreboard, shardHistograms } from "@shardcast/scoreboard";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

describe("HistogramWords", () => {
	it("counts a value in the first bucket whose bound is not below it, and cumulates on reading", () => {
		const histogram = new HistogramWords(new ArrayBuffer(256), 0, [1, 2, 5]);
		for (const value of [0.5, 1, 1.5, 5, 5.1]) histogram.observe(value);
		expect(histogram.read()).toEqual({ bounds: [1, 2, 5], counts: [2, 3, 4], count: 5, sum: 13.1 });
	});

	it("counts one observation for many deliveries", () => {
		const histogram = new HistogramWords(new ArrayBuffer(256), 0, [1, 2]);
		histogram.observe(1.5, 4000);
		expect(histogram.read()).toEqual({ bounds: [1, 2], counts: [0, 4000], count: 4000, sum: 6000 });
	});

	it("counts a negative value, of a clock read too early, as zero", () => {
		const histogram = new HistogramWords(new ArrayBuffer(256), 0, [1]);
		histogram.observe(-3);
		expect(histogram.read()).toEqual({ bounds: [1], counts: [1], count: 1, sum: 0 });
	});

	it("agrees with counting by hand, for any bounds and values", () => {
		const numbers = fc.double({ min: 0, max: 1e6, noNaN: true });
		fc.assert(
			fc.property(fc.uniqueArray(numbers, { minLength: 1, maxLength: 30 }), fc.array(numbers, { maxLength: 200 }), (unsorted, values) => {
				const bounds = unsorted.sort((one, other) => one - other);
				const histogram = new HistogramWords(new ArrayBuffer(256), 0, bounds);
				for (const value of values) histogram.observe(value);
				const { counts, count } = histogram.read();
				expect(counts).toEqual(bounds.map((bound) => values.filter((value) => value <= bound).length));
				expect(count).toBe(values.length);
			}),
		);
	});

	it("refuses more bounds than 256 bytes hold", () => {
		const bounds = Array.from({ length: 31 }, (_, index) => index);
		expect(() => new HistogramWords(new ArrayBuffer(512), 0, bounds)).toThrow("31 bounds; the most is 30");
	});
});

describe("layout of the histograms", () => {
	it("survives its writer: another view of the same bytes reads on and counts on", () => {
		const buffer = new SharedArrayBuffer(BoardLayout.rowBytes * 2);
		const before = histogramsAt(shardHistograms, buffer, BoardLayout.rowBytes);
		before.publishToSendMs.observe(4, 10);
		before.flushDurationMs.observe(2);
		const after = histogramsAt(shardHistograms, buffer, BoardLayout.rowBytes);
		after.publishToSendMs.observe(4, 5);
		expect(before.publishToSendMs.read().count).toBe(15);
		expect(before.flushRecords.read().count).toBe(0);
		expect(new Uint8Array(buffer, 0, BoardLayout.rowBytes + BoardLayout.histograms).every((byte) => byte === 0)).toBe(true);
	});

	it("fit into a row, and have ascending bounds", () => {
		for (const table of [shardHistograms, balancerHistograms]) {
			expect(table.length).toBeLessThanOrEqual(BoardLayout.histogramsMax);
			for (const [name, , bounds] of table)
				expect([...bounds], name).toEqual([...new Set(bounds)].sort((one, other) => Number(one) - Number(other)));
		}
	});

	it("each row of a scoreboard has its own, the balancer's as well", () => {
		const board = Scoreboard.inMemory(2);
		board.row(0).histograms.publishToSendMs.observe(1);
		board.balancer.histograms.handoffMs.observe(2);
		board.row(1).histograms.flushRecords.observe(64, 3);
		expect(board.row(0).histograms.publishToSendMs.read().sum).toBe(1);
		expect(board.row(1).histograms.publishToSendMs.read().count).toBe(0);
		expect(board.row(1).histograms.flushRecords.read().sum).toBe(192);
		expect(board.balancer.histograms.handoffMs.read().count).toBe(1);
		expect(Object.values(board.row(0).snapshot().counters).every((value) => value === 0)).toBe(true);
	});
});
