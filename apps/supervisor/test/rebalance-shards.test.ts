import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OperationRefused } from "../src/operations/operation.ts";
import { RebalanceAfterCrash } from "../src/operations/rebalance-after-crash.ts";
import { excessOf, rebalanceShards } from "../src/operations/rebalance-shards.ts";

const counts = (clients: readonly number[]) => new Map(clients.map((count, slot) => [slot, count]));

describe("excess", () => {
	it.each([
		["the survivor of a crash", [500, 0], [[0, 250]]],
		["within 5 %", [105, 95], []],
		["just above 5 %", [106, 94], [[0, 6]]],
		["few clients", [2, 1], []],
		["only the fullest lose clients", [300, 200, 100], [[0, 100]]],
		[
			"two of three",
			[300, 300, 0],
			[
				[0, 100],
				[1, 100],
			],
		],
		["one shard", [500], []],
		["no shard", [], []],
	])("%s", (_, clients, excess) => {
		expect([...excessOf(counts(clients))]).toEqual(excess);
	});
});

/** Clients that come back to the shard with the fewest, or to where they were. */
function shards(clients: number[], { returnTo = "fewest" as "fewest" | "same", busy = false } = {}) {
	const asked: number[] = [];
	const abort = new AbortController();
	const options = {
		clients: () => counts(clients),
		rate: () => 100,
		move: async (bySlot: Readonly<Record<string, number>>) => {
			if (busy) return 0;
			let moved = 0;
			for (const [slot, count] of Object.entries(bySlot)) {
				clients[Number(slot)]! -= count;
				moved += count;
				for (let each = 0; each < count; each++) {
					const to = returnTo === "same" ? Number(slot) : clients.indexOf(Math.min(...clients));
					clients[to]!++;
				}
			}
			asked.push(moved);
			return moved;
		},
		signal: abort.signal,
		onProgress: () => {},
		pause: async () => {},
	};
	return { options, asked, abort, clients };
}

describe("rebalance of shards", () => {
	it("takes from each shard in proportion", async () => {
		const move = vi.fn(async () => 0);
		await rebalanceShards({ ...shards([500, 300, 100, 100]).options, move });
		expect(move.mock.calls[0]).toEqual([{ 0: 67, 1: 13 }]);
	});

	it("moves four fifths of the rate per second, until all have their share", async () => {
		const { options, asked } = shards([400, 0]);
		expect(await rebalanceShards(options)).toMatchObject({ before: { 0: 400, 1: 0 }, after: { 0: 200, 1: 200 }, moved: 200 });
		expect(asked).toEqual([80, 80, 40]);
	});

	it.each([
		[1, 1],
		[4, 3],
		[5, 4],
	])("a rate of %i is not rounded up: it asks %i each second", async (rate, each) => {
		const { options, asked } = shards([20, 0]);
		expect(await rebalanceShards({ ...options, rate: () => rate })).toMatchObject({ moved: 10 });
		expect(asked[0]).toBe(each);
		expect(Math.max(...asked)).toBe(each);
	});

	it("is done when a client that came meanwhile makes one too many", async () => {
		const { options, clients } = shards([18, 14, 14, 14]);
		const pause = async () => void clients.splice(0, 4, 16, 15, 14, 15);
		const result = await rebalanceShards({ ...options, pause });
		expect(result).toMatchObject({ moved: 3, after: { 0: 16, 1: 15, 2: 14, 3: 15 } });
		expect(result).not.toHaveProperty("ended");
	});

	it("does nothing when they are balanced", async () => {
		const { options, asked } = shards([100, 103]);
		expect(await rebalanceShards(options)).toMatchObject({ moved: 0 });
		expect(asked).toEqual([]);
	});

	it("gives up when clients come back to the same shard, without asking anybody twice as often as necessary", async () => {
		const { options, asked } = shards([300, 100], { returnTo: "same" });
		expect(await rebalanceShards(options)).toMatchObject({ moved: 100, ended: "clients come back to the same shards" });
		expect(asked).toEqual([80, 20]);
	});

	it("gives up when all are in the middle of something, and when it is ended", async () => {
		expect(await rebalanceShards(shards([300, 100], { busy: true }).options)).toMatchObject({
			ended: "the other clients are in the middle of something",
		});
		const { options, abort } = shards([300, 100]);
		abort.abort("the cluster stops");
		expect(await rebalanceShards(options)).toMatchObject({ moved: 0, ended: "the cluster stops" });
	});

	it("a shard that does not answer may have asked its clients", async () => {
		const { options } = shards([300, 100]);
		const move = vi.fn(() => Promise.reject(new Error("late")));
		expect(await rebalanceShards({ ...options, rate: () => 125, move })).toMatchObject({ ended: "clients come back to the same shards" });
		expect(move).toHaveBeenCalledTimes(1);
	});
});

describe("rebalance after a crash", () => {
	beforeEach(() => void vi.useFakeTimers());
	afterEach(() => void vi.useRealTimers());

	function setup() {
		const state = { isOn: true, serving: true };
		const rebalance = vi.fn(async () => {});
		const warn = vi.fn();
		const after = new RebalanceAfterCrash({ isOn: () => state.isOn, isServing: () => state.serving, rebalance, log: { warn } });
		return { state, rebalance, warn, after };
	}

	it("after a crash, clients are moved back once the shard has served for a while, if the option says so then", async () => {
		const { state, rebalance, after } = setup();
		after.serves(0);
		await vi.advanceTimersByTimeAsync(20_000);
		expect(rebalance, "its first start").not.toHaveBeenCalled();
		after.died(0);
		after.serves(0);
		await vi.advanceTimersByTimeAsync(9_000);
		expect(rebalance).not.toHaveBeenCalled();
		await vi.advanceTimersByTimeAsync(2_000);
		expect(rebalance).toHaveBeenCalledTimes(1);
		await vi.advanceTimersByTimeAsync(60_000);
		expect(rebalance, "once for each crash").toHaveBeenCalledTimes(1);
		state.isOn = false;
		after.died(0);
		after.serves(0);
		await vi.advanceTimersByTimeAsync(20_000);
		expect(rebalance).toHaveBeenCalledTimes(1);
	});

	it("one that dies again is waited for again, another operation goes first, and a stop ends it", async () => {
		const { state, rebalance, warn, after } = setup();
		after.died(0);
		after.serves(0);
		state.serving = false;
		await vi.advanceTimersByTimeAsync(20_000);
		expect(rebalance).not.toHaveBeenCalled();
		state.serving = true;
		rebalance.mockRejectedValueOnce(new OperationRefused("busy", "another one"));
		after.serves(0);
		await vi.advanceTimersByTimeAsync(10_000);
		await vi.advanceTimersByTimeAsync(10_000);
		expect(rebalance).toHaveBeenCalledTimes(2);
		expect(warn).not.toHaveBeenCalled();
		rebalance.mockRejectedValueOnce(new Error("broken"));
		after.died(1);
		after.serves(1);
		await vi.advanceTimersByTimeAsync(10_000);
		expect(warn).toHaveBeenCalledWith("no rebalance after the crash: broken");
		after.died(0);
		after.serves(0);
		after.stop();
		await vi.advanceTimersByTimeAsync(60_000);
		expect(rebalance).toHaveBeenCalledTimes(3);
	});
});
