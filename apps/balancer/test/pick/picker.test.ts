import { Role, requestAllowance, ShardState } from "@shardcast/scoreboard";
import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { measureProxy } from "../../src/pick/candidate.ts";
import { type Picker, settleMs } from "../../src/pick/picker.ts";
import { boardOf, clock, pickerOf, slotOf } from "../support/picker.ts";

const pickSlots = (picker: Picker, count: number, isUpgrade = true) => Array.from({ length: count }, () => slotOf(picker.pick(isUpgrade)));

describe("picker", () => {
	it("takes the shard with the fewest connections", () => {
		const board = boardOf([10, 10, 10]);
		board.row(0).connections = 3;
		board.row(1).connections = 1;
		board.row(2).connections = 2;
		expect(slotOf(pickerOf(board).pick(true))).toBe(1);
	});

	it("counts at pick time: a burst before any report spreads evenly", () => {
		const picks = pickSlots(pickerOf(boardOf([100, 100, 100])), 90);
		expect([0, 1, 2].map((slot) => picks.filter((pick) => pick === slot).length)).toEqual([30, 30, 30]);
	});

	it("rotates ties, so that all shards get their turn", () => {
		const picker = pickerOf(boardOf([10, 10, 10]));
		const picks = [1, 2, 3, 4, 5, 6].map(() => {
			picker.look(); // each has come and gone: all are at zero again
			return slotOf(picker.pick(true));
		});
		expect(picks).toEqual([0, 1, 2, 0, 1, 2]);
	});

	it.each([1, 2, 3, 4, 5])("goes on when %i of six shards are left, wherever the next search would begin", (left) => {
		for (let picks = 0; picks < 6; picks++) {
			const board = boardOf([10, 10, 10, 10, 10, 10]);
			const picker = pickerOf(board);
			pickSlots(picker, picks);
			for (let slot = left; slot < 6; slot++) board.row(slot).role = Role.none;
			board.bumpMembership();
			picker.look();
			for (const slot of pickSlots(picker, 6)) expect(slot).toBeLessThan(left);
		}
	});

	const acts = (sinceMs: number) => new Map([["cpu" as const, { sinceMs, value: 90, threshold: 75, times: 1 }]]);

	it("clients go to shards whose guards do not act, however many clients these have; other requests go to any", () => {
		const board = boardOf([10, 10, 10]);
		board.row(0).connections = 8;
		board.row(1).guards.write(clock.nowMs, acts(1));
		const picker = pickerOf(board);
		expect(pickSlots(picker, 9)).not.toContain(1);
		expect(picker.isOverloaded).toBe(false);
		expect(slotOf(picker.pick(false))).toBe(1);
	});

	it("where those are full, or there is none, a guarded shard is picked, which refuses clients itself", () => {
		const board = boardOf([10, 10]);
		board.row(0).webSockets = 10;
		board.row(0).connections = 10;
		board.row(1).guards.write(clock.nowMs, acts(1));
		const picker = pickerOf(board);
		expect(slotOf(picker.pick(true))).toBe(1);
		expect(picker.isOverloaded).toBe(false);
		board.row(0).guards.write(clock.nowMs, acts(1));
		picker.look();
		expect(picker.isOverloaded).toBe(true);
		board.row(0).guards.write(clock.nowMs, acts(0));
		picker.look();
		expect(picker.isOverloaded).toBe(false);
		board.guards.write(clock.nowMs, acts(1));
		picker.look();
		expect(picker.isOverloaded, "a guard of the whole cluster").toBe(true);
	});

	it("shards that do not respond do not make the others look overloaded, nor the cluster without shards", () => {
		const board = boardOf([10, 10]);
		board.row(0).guards.write(clock.nowMs, acts(1));
		board.row(1).set("heartbeatMs", 0);
		expect(pickerOf(board).isOverloaded, "all that respond are guarded").toBe(true);
		board.row(0).set("heartbeatMs", 0);
		expect(pickerOf(board).isOverloaded, "nobody responds: that is told otherwise").toBe(false);
	});

	it("skips full shards, and shards that do not serve", () => {
		const board = boardOf([5, 5, 5]);
		board.row(0).connections = 5;
		board.row(0).webSockets = 5;
		board.row(1).state = ShardState.draining;
		board.row(2).connections = 4;
		board.row(2).webSockets = 4;
		expect(pickSlots(pickerOf(board), 2)).toEqual([2, null]);
	});

	it("counts connections that were sent but not received, even when the counters wrap", () => {
		const board = boardOf([10, 10]);
		const row = board.row(0);
		row.handoffsSent = (0x7fffffff + 2) | 0;
		row.handoffsReceived = 0x7fffffff - 1;
		board.row(1).connections = 2;
		const picker = pickerOf(board);
		expect(picker.candidates.map(({ connections }) => connections)).toEqual([3, 2]);
		row.handoffsUndone = 2;
		picker.look();
		expect(picker.candidates.map(({ connections }) => connections)).toEqual([1, 2]);
		row.handoffsUndone = 0;
		picker.look();
		expect(slotOf(picker.pick(true))).toBe(1);
	});

	it("never counts fewer than zero connections in flight", () => {
		const board = boardOf([10]);
		board.row(0).handoffsReceived = 5;
		expect(pickerOf(board).candidates[0].connections).toBe(0);
	});

	it("keeps the slot of a connection that has arrived and is not a WebSocket yet, for as long as it may become one", () => {
		const board = boardOf([1]);
		const row = board.row(0);
		const picker = pickerOf(board);
		expect(slotOf(picker.pick(true))).toBe(0);
		row.connections = 1;
		picker.look();
		expect(picker.pick(true)).toBeNull();
		// It was an ordinary request after all.
		clock.nowMs += settleMs;
		picker.look();
		expect(slotOf(picker.pick(true))).toBe(0);
	});

	it("keeps the slot of a connection in flight until it has arrived", () => {
		const board = boardOf([1]);
		const picker = pickerOf(board);
		picker.pick(true);
		board.row(0).handoffsSent = 1;
		clock.nowMs += 10 * settleMs;
		board.row(0).set("heartbeatMs", clock.nowMs);
		picker.look();
		expect(picker.pick(true)).toBeNull();
	});

	it("sends a bounded number of plain requests to a full shard", () => {
		const board = boardOf([2]);
		board.row(0).connections = 2;
		board.row(0).webSockets = 2;
		const picker = pickerOf(board);
		expect(picker.pick(true)).toBeNull();
		const picks = pickSlots(picker, requestAllowance + 1, false);
		expect(picks.filter((slot) => slot === 0)).toHaveLength(requestAllowance);
	});

	it("fills a shard only as far as its open files allow, whatever kind of connections it has", () => {
		const board = boardOf([100, 100]);
		board.row(0).connectionsFit = 2;
		board.row(1).state = ShardState.draining;
		const picker = pickerOf(board);
		expect(pickSlots(picker, 3)).toEqual([0, 0, null]);
		// Idle connections, which came to its own port.
		board.row(0).connections = 2 + requestAllowance - 1;
		clock.nowMs += settleMs;
		board.row(0).set("heartbeatMs", clock.nowMs);
		picker.look();
		expect(pickSlots(picker, 2)).toEqual([0, null]);
		expect(picker.pick(false)).toBeNull();
	});

	it("gives a shard no more while too many wait for it in the balancer", () => {
		const picker = pickerOf(boardOf([100, 100]), { ownMax: 2 });
		picker.candidates[0].own = 2;
		expect(pickSlots(picker, 2)).toEqual([1, 1]);
	});

	it("sends no client to a silent shard, even when no other has room, until it responds again", () => {
		const board = boardOf([5, 1]);
		board.row(0).set("heartbeatMs", clock.nowMs - 900);
		const picker = pickerOf(board);
		expect(pickSlots(picker, 3)).toEqual([1, null, null]);
		expect(picker.allSilent).toBe(false);
		board.row(1).set("heartbeatMs", clock.nowMs - 900);
		picker.look();
		expect(picker.allSilent).toBe(true);
		for (const row of board.rows()) row.set("heartbeatMs", clock.nowMs - 700);
		picker.look();
		expect(picker.allSilent).toBe(false);
		expect(picker.pick(true)).not.toBeNull();
		for (const row of board.rows()) row.state = ShardState.dead;
		picker.look();
		expect(picker.allSilent, "those that do not serve are not silent").toBe(false);
	});

	it("lets connections be taken back only when another shard has responded for a moment", () => {
		const board = boardOf([5, 5]);
		const picker = pickerOf(board);
		const beat = (...slots: number[]) => {
			clock.nowMs += 100;
			for (const slot of slots) board.row(slot).set("heartbeatMs", clock.nowMs);
			picker.look();
			return picker.mayTakeBack;
		};
		expect([beat(0, 1), beat(0), beat(0)]).toEqual([false, true, true]);
		// The whole machine stands still, and they wake up one after the other.
		clock.nowMs += 5000;
		expect([beat(), beat(0), beat(0), beat(0, 1)]).toEqual([false, false, false, true]);
	});

	it("skips a shard that did not answer for a moment, or until another process serves in its place", () => {
		const board = boardOf([5, 5]);
		const picker = pickerOf(board);
		picker.shun(picker.candidates[0]);
		expect(pickSlots(picker, 2)).toEqual([1, 1]);
		picker.look();
		expect(slotOf(picker.pick(true))).toBe(1);
		board.row(0).incarnation = 2;
		picker.look();
		expect(pickSlots(picker, 2).sort()).toEqual([0, 1]);
		picker.shun(picker.candidates[0]);
		clock.nowMs += 1000;
		picker.look();
		expect(picker.candidates[0].serving).toBe(true);
	});

	it("adds new members and forgets those that have left", () => {
		const board = boardOf([5, 5, 5]);
		board.row(2).role = Role.none;
		board.bumpMembership();
		const picker = pickerOf(board);
		expect(picker.candidates.map(({ row }) => row.slot)).toEqual([0, 1]);
		const known = picker.candidates[1];
		board.row(2).role = Role.shard;
		board.row(0).role = Role.none;
		board.bumpMembership();
		picker.look();
		expect(picker.candidates.map(({ row }) => row.slot)).toEqual([1, 2]);
		expect(picker.candidates[0]).toBe(known);
	});

	it("proxy: counts its own connections itself, and takes direct ones from the row", () => {
		const board = boardOf([10]);
		const row = board.row(0);
		const picker = pickerOf(board, { measure: measureProxy });
		const [candidate] = picker.candidates;
		candidate.own = 4;
		candidate.ownUpgrades = 3;
		row.connections = 6;
		row.webSockets = 5;
		row.proxiedSeen = 3;
		picker.look();
		expect(candidate).toMatchObject({ connections: 6, taken: 5 });
	});

	it("refuses only when every shard is full, and overfills none, whatever happens", { tags: ["long"] }, () => {
		// A model of shards that report late: picks become connections, connections become WebSockets, WebSockets leave.
		const step = fc.constantFrom("pick", "arrive", "upgrade", "leave", "look");
		fc.assert(
			fc.property(
				fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
				fc.array(step, { maxLength: 80 }),
				(limits, steps) => {
					clock.nowMs += 10 * settleMs;
					const board = boardOf(limits);
					const picker = pickerOf(board);
					const given = limits.map(() => 0);
					steps.forEach((what, index) => {
						const slot = index % limits.length;
						const row = board.row(slot);
						if (what === "look") picker.look();
						else if (what === "arrive" && row.handoffsReceived < row.handoffsSent) {
							row.connections++;
							row.handoffsReceived++;
						} else if (what === "upgrade" && row.webSockets < row.connections) row.webSockets++;
						else if (what === "leave" && row.webSockets > 0) {
							row.webSockets--;
							row.connections--;
							given[slot]--;
						} else if (what === "pick") {
							picker.look();
							const picked = slotOf(picker.pick(true));
							if (picked === null) return;
							given[picked]++;
							board.row(picked).handoffsSent++;
							if (given[picked] > limits[picked]) expect.fail(`shard ${picked} has ${given[picked]}, its limit is ${limits[picked]}`);
						}
					});
					// When all has settled there is room exactly where it is.
					for (const row of limits.map((_, slot) => board.row(slot))) {
						row.connections += row.handoffsSent - row.handoffsReceived;
						row.handoffsReceived = row.handoffsSent;
						row.webSockets = row.connections;
					}
					clock.nowMs += 3 * settleMs;
					picker.look();
					const room = limits.reduce((sum, limit, slot) => sum + limit - given[slot], 0);
					expect(pickSlots(picker, room + 1).filter((slot) => slot !== null)).toHaveLength(room);
				},
			),
			{ numRuns: stressed(1000) },
		);
	});
});
