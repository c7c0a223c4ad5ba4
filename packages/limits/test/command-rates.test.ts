import { type CommandRates, loadConfig } from "@shardcast/config";
import { describe, expect, it } from "vitest";
import { ConnectionBuckets, type RatedCommand, RatePlan } from "../src/command-rates.ts";
import { RateKind, RateTable } from "../src/rate-table.ts";

const commands: readonly RatedCommand[] = ["subscribe", "publish", "history"];

/** As in the file. */
function rates(value: object): CommandRates {
	const raw = JSON.stringify({ enabled: true, ...value });
	const flags = new Map([["clientCommandRates", { raw, layer: { kind: "flag", name: "--client-command-rates" } }]] as const);
	return loadConfig({ flags, environment: {}, file: undefined }).config.clientCommandRates;
}
const operation = (...buckets: readonly (readonly [rate: number, interval: string])[]) => ({
	enabled: true,
	buckets: buckets.map(([rate, interval]) => ({ rate, interval })),
});

/** How many of ten commands may be carried out at this time. */
function taken(buckets: ConnectionBuckets, command: RatedCommand, nowMs: number): number {
	return Array.from({ length: 10 }, () => buckets.take(command, nowMs)).filter(Boolean).length;
}

describe("buckets of a connection", () => {
	const open = (value: object) => new ConnectionBuckets(new RatePlan(rates(value), commands));

	it("let so many through in an interval, and one more not before there is room again", () => {
		const buckets = open({ publish: operation([3, "3s"]) });
		expect(taken(buckets, "publish", 1000)).toBe(3);
		expect(buckets.take("publish", 1999)).toBe(false);
		expect(buckets.take("publish", 2000)).toBe(true);
		expect(buckets.take("publish", 2001)).toBe(false);
		expect(taken(buckets, "publish", 60_000)).toBe(3);
		expect(taken(buckets, "history", 1000)).toBe(10);
	});

	it("a rate that does not divide its interval still lets all of them through", () => {
		for (const rate of [3, 7, 9])
			expect(taken(open({ publish: operation([rate, "1s"]) }), "publish", 123_456.789), String(rate)).toBe(rate);
	});

	it("count kinds of commands apart, by default as by themselves, and all together besides", () => {
		const buckets = open({ total: operation([6, "1s"]), default: operation([4, "1s"]), publish: operation([3, "1s"]) });
		expect(taken(buckets, "subscribe", 1000)).toBe(4);
		// Refused ones take nothing from the total.
		expect(taken(buckets, "history", 1000)).toBe(2);
		expect(taken(buckets, "publish", 1000)).toBe(0);
		expect(taken(buckets, "publish", 9000)).toBe(3);
	});

	it("are the default ones for a kind that is enabled without any", () => {
		const buckets = open({ default: operation([4, "1s"]), publish: operation() });
		expect(taken(buckets, "publish", 1000)).toBe(4);
	});

	it("must all have room, and none of them loses anything otherwise", () => {
		const buckets = open({ publish: operation([2, "1s"], [3, "60s"]) });
		expect(taken(buckets, "publish", 0)).toBe(2);
		expect(taken(buckets, "publish", 1000)).toBe(1);
		expect(taken(buckets, "publish", 2000)).toBe(0);
		expect(taken(buckets, "publish", 20_000)).toBe(1);
	});

	it("do not count while they are off", () => {
		expect(new RatePlan(rates({ enabled: false, total: operation([1, "1s"]) }), commands).isOff).toBe(true);
		expect(new RatePlan(rates({ total: { ...operation([1, "1s"]), enabled: false } }), commands).isOff).toBe(true);
		expect(new RatePlan(rates({}), commands).isOff).toBe(true);
	});
});

it("buckets in shared memory have intervals of any length", () => {
	const table = RateTable.inMemory();
	const bucket = { rate: 3, intervalMs: 60_000 };
	const take = (key: bigint, nowMs: number) => table.takeOf(RateKind.commands, key, bucket, nowMs);
	expect([1, 2, 3, 4].map(() => take(7n, 1000))).toEqual([true, true, true, false]);
	expect(table.hasOf(RateKind.commands, 7n, bucket, 20_999)).toBe(false);
	expect(table.hasOf(RateKind.commands, 7n, bucket, 21_000)).toBe(true);
	expect([take(7n, 21_000), take(7n, 21_000), take(8n, 21_000)]).toEqual([true, false, true]);
	expect(table.take(RateKind.publishes, 7n, 1, 1000)).toBe(true);
});
