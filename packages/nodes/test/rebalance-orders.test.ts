import type { NodeParts, NodeState } from "@shardcast/control";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { nodesMax } from "../src/membership-scripts.ts";
import { ClientMover } from "../src/orders/client-mover.ts";
import { rebalanceOrder } from "../src/orders/order-requests.ts";
import { Orders } from "../src/orders/orders.ts";

beforeEach(() => {
	vi.useFakeTimers();
});
afterEach(() => {
	vi.useRealTimers();
});

function setup(connections: readonly number[]) {
	const shards = new Map(connections.map((count, slot) => [slot, count]));
	const rig = {
		shards,
		asked: [] as Readonly<Record<string, number>>[],
		told: [] as string[],
		/** What the shards answer; absent = they ask as many as they should, and the clients go. */
		answers: null as number | null,
		takes: true,
		mover: null as unknown as ClientMover,
		left: () => [...shards.values()].reduce((sum, count) => sum + count, 0),
	};
	rig.mover = new ClientMover({
		id: "n1",
		connections: () => shards,
		takesClients: (id) => rig.takes && id === "n2",
		move: async (bySlot) => {
			rig.asked.push(bySlot);
			if (rig.answers !== null) return rig.answers;
			for (const [slot, count] of Object.entries(bySlot)) shards.set(Number(slot), shards.get(Number(slot))! - count);
			return Object.values(bySlot).reduce((sum, count) => sum + count, 0);
		},
		tell: (level, text) => rig.told.push(`${level}: ${text}`),
	});
	return rig;
}

describe("a node that moves clients away", () => {
	it("asks some each second, of its shards in proportion, until it has as many as it keeps", async () => {
		const rig = setup([60, 40]);
		expect(rig.mover.start({ keep: { n1: 75 }, to: ["n2"], rate: 10 })).toBe(25);
		expect([rig.asked, rig.mover.pending]).toEqual([[{ 0: 6, 1: 4 }], 25]);
		await vi.advanceTimersByTimeAsync(900);
		expect(rig.asked.length, "in the first second").toBe(1);
		await vi.advanceTimersByTimeAsync(5000);
		expect(rig.asked.map((counts) => Object.values(counts).reduce((sum, each) => sum + each, 0))).toEqual([10, 10, 5]);
		expect([rig.left(), rig.mover.pending]).toEqual([75, 0]);
		expect(rig.mover.counts).toEqual({ moves: 1, clients: 25 });
		expect(rig.told.at(-1)).toBe("info: rebalance: 25 clients were asked to connect again; done");
	});

	it("asks all shards in turn if it asks fewer clients each second than there are shards", async () => {
		const rig = setup([10, 10, 10]);
		rig.mover.start({ keep: { n1: 15 }, to: ["n2"], rate: 1 });
		await vi.advanceTimersByTimeAsync(20_000);
		expect([...rig.shards.values()]).toEqual([5, 5, 5]);
	});

	it("does not ask more than it had too many at the start, though they come back here", async () => {
		const rig = setup([100]);
		rig.mover.start({ keep: { n1: 90 }, to: ["n2"], rate: 4 });
		for (let second = 0; second < 10; second++) {
			rig.shards.set(0, 100);
			await vi.advanceTimersByTimeAsync(1000);
		}
		expect(rig.asked).toEqual([{ 0: 4 }, { 0: 4 }, { 0: 2 }]);
	});

	it("asks nobody when it has no more than it keeps, or is not named; a new order replaces the one in progress", async () => {
		const rig = setup([50]);
		expect(rig.mover.start({ keep: { n1: 50 }, to: ["n2"], rate: 10 })).toBe(0);
		rig.mover.start({ keep: { n1: 0 }, to: ["n2"], rate: 10 });
		expect(rig.mover.start({ keep: { n3: 5 }, to: ["n2"], rate: 10 })).toBe(0);
		await vi.advanceTimersByTimeAsync(5000);
		expect(rig.asked).toEqual([{ 0: 10 }]);
		expect(rig.mover.pending).toBe(0);
	});

	it("ends when no node with room takes clients any more, when it is stopped, and when all clients are busy", async () => {
		const gone = setup([50]);
		gone.mover.start({ keep: { n1: 0 }, to: ["n2", "n3"], rate: 10 });
		gone.takes = false;
		await vi.advanceTimersByTimeAsync(5000);
		expect(gone.asked.length).toBe(1);
		expect(gone.told.at(-1)).toBe("info: rebalance: 10 clients were asked to connect again; no other node takes clients now");
		const stopped = setup([50]);
		stopped.mover.start({ keep: { n1: 0 }, to: ["n2"], rate: 10 });
		stopped.mover.stop();
		await vi.advanceTimersByTimeAsync(5000);
		expect(stopped.asked.length).toBe(1);
		const busy = setup([50]);
		busy.answers = 0;
		busy.mover.start({ keep: { n1: 0 }, to: ["n2"], rate: 10 });
		await vi.advanceTimersByTimeAsync(60_000);
		expect([busy.asked.length, busy.mover.pending]).toEqual([10, 0]);
	});
});

describe("an order to nodes", () => {
	const order = { keep: { n1: 5, n2: 7 }, to: ["n3"], rate: 10 };
	function node(answers: readonly NodeParts[], state: NodeState = "member", takers: readonly string[] = ["n2", "n3"]) {
		const started: unknown[] = [];
		const asked: unknown[] = [];
		const others = { takers: takers.map((id) => ({ id, term: 1 })) };
		const left: unknown[] = [];
		const orders = new Orders({
			id: "n1",
			state: () => state,
			ask: async (...question) => {
				asked.push(question);
				return answers;
			},
			mover: {
				total: 8,
				start: (each) => {
					started.push(each);
					return 3;
				},
			},
			takers: () => others.takers,
			leave: (strategy) => left.push(strategy ?? "as its options say"),
		});
		return { orders, started, asked, left, others };
	}

	it("reaches all nodes, and is answered with what each of the named ones does", async () => {
		const { orders, started, asked } = node([
			{ node: "n2", parts: [4] },
			{ node: "n3", parts: [0] },
			{ node: "n4", problem: "no answer", isAway: false },
		]);
		expect(await orders.rebalance(order)).toEqual({ n1: 3, n2: 4 });
		expect(started).toEqual([order]);
		expect(asked).toEqual([["rebalance", order, 1500]]);
	});

	it("fails when a named node has not answered, or this one is cut off; then this one begins nothing", async () => {
		const late = node([{ node: "n2", problem: "no answer within 1500 ms", isAway: false }]);
		await expect(late.orders.rebalance(order)).rejects.toThrow('n2 (no answer within 1500 ms) may not have carried out "rebalance"');
		const alone = node([], "cutOff");
		await expect(alone.orders.rebalance(order)).rejects.toThrow("node n1 is not connected to the others (cutOff)");
		expect([late.started, alone.started, alone.asked]).toEqual([[], [], []]);
	});

	it("to stop is carried out by the named node only, and fails when that has not answered", async () => {
		const own = node([{ node: "n2", parts: [0] }]);
		await own.orders.failover({ node: "n1", strategy: "immediate" });
		expect([own.left, own.asked], "the others know of it").toEqual([
			["immediate"],
			[["failover", { node: "n1", strategy: "immediate" }, 1500]],
		]);
		const other = node([
			{ node: "n2", parts: [1] },
			{ node: "n3", problem: "no answer", isAway: false },
		]);
		await other.orders.failover({ node: "n2" });
		expect([other.left, other.asked]).toEqual([[], [["failover", { node: "n2" }, 1500]]]);
		await expect(other.orders.failover({ node: "n3" })).rejects.toThrow('n3 (no answer) may not have carried out "failover"');
		vi.advanceTimersByTime(5000);
		expect([other.orders.answer("failover", { node: "n2" }), other.left]).toEqual([[0], []]);
		expect([other.orders.answer("failover", { node: "n1" }), other.left]).toEqual([[1], ["as its options say"]]);
		for (const [request, problem] of [
			[{}, "node is not an id"],
			[{ node: "n1", strategy: "now" }, "strategy is unknown"],
		] as const)
			expect(() => other.orders.answer("failover", request)).toThrow(problem);
		expect(other.left.length).toBe(1);
	});

	it("to stop is refused by the last node that remains, when several are ordered at the same time", async () => {
		const asker = node([{ node: "n2", parts: [1] }], "member", ["n2"]);
		await asker.orders.failover({ node: "n2" });
		await expect(asker.orders.failover({ node: "n1" })).rejects.toThrow(
			"no other node takes clients now, or the others were ordered to stop",
		);
		expect(() => asker.orders.answer("failover", { node: "n1" })).toThrow("ask again in some seconds");
		const third = node([], "member", ["n2", "n3"]);
		for (const each of ["n2", "n3"]) expect(third.orders.answer("failover", { node: each })).toEqual([0]);
		expect(() => third.orders.answer("failover", { node: "n1" })).toThrow("no other node takes clients now");
		expect([asker.left, third.left, asker.asked.length]).toEqual([[], [], 1]);
		asker.others.takers = [{ id: "n2", term: 2 }];
		expect(asker.orders.answer("failover", { node: "n1" }), "the other was restarted").toEqual([1]);
		vi.advanceTimersByTime(5000);
		expect(third.orders.answer("failover", { node: "n1" }), "the others have not stopped").toEqual([1]);
	});

	it("to stop is refused by a node that is cut off, or when nobody who remains has answered", async () => {
		const alone = node([{ node: "n2", parts: [0] }], "cutOff");
		await expect(alone.orders.failover({ node: "n1" })).rejects.toThrow("node n1 is not connected to the others (cutOff)");
		const silent = node([{ node: "n2", problem: "Redis does not answer", isAway: true }]);
		await expect(silent.orders.failover({ node: "n1" })).rejects.toThrow("no other node that takes clients has answered");
		expect([alone.left, silent.left]).toEqual([[], []]);
	});

	it("knows how many connections each node has now, except those that do not answer", async () => {
		const { orders, asked } = node([
			{ node: "n2", parts: [5] },
			{ node: "n3", problem: "no answer", isAway: false },
		]);
		expect(await orders.connections()).toEqual({ n1: 8, n2: 5 });
		expect(asked).toEqual([["node_connections", null, 1500]]);
		expect(orders.answer("node_connections", null)).toEqual([8]);
	});

	it("concerns only nodes that are named, also where an id is the name of a method", async () => {
		const { orders } = node([{ node: "constructor", parts: [0] }]);
		expect(await orders.rebalance({ keep: {}, to: [], rate: 1 })).toEqual({});
		const told: string[] = [];
		const mover = new ClientMover({
			id: "constructor",
			connections: () => new Map([[0, 5]]),
			takesClients: () => true,
			move: async () => 0,
			tell: (_, text) => told.push(text),
		});
		expect([mover.start({ keep: {}, to: ["n2"], rate: 1 }), mover.pending, told]).toEqual([0, 0, []]);
	});

	it("of another node is checked, and other questions are not answered here", () => {
		const { orders, started } = node([]);
		expect(orders.answer("rebalance", order)).toEqual([3]);
		expect(started).toEqual([order]);
		expect(orders.answer("presence", {})).toBeNull();
		expect(() => orders.answer("rebalance", { ...order, rate: 0 })).toThrow("rate is not a whole number from 1");
	});

	it.each([
		[null, "the request is not an object"],
		[{}, "keep is not an object"],
		[{ ...order, keep: { n1: -1 } }, "keep is not a table of counts"],
		[{ ...order, keep: { n1: 1.5 } }, "keep is not a table of counts"],
		[{ ...order, keep: { ["x".repeat(65)]: 1 } }, "keep is not a table of counts"],
		[{ ...order, to: "n3" }, "to is not a list of nodes"],
		[{ ...order, to: [7] }, "to is not a list of nodes"],
		[{ ...order, rate: "10" }, "rate is not a whole number"],
	])("%j is refused", (request, problem) => {
		expect(() => rebalanceOrder(request)).toThrow(problem);
	});

	it("has room for as many nodes as a cluster may have", () => {
		const nodes = (count: number) => Array.from({ length: count }, (_, index) => `n${index}`);
		const keepOf = (count: number) => ({ ...order, keep: Object.fromEntries(nodes(count).map((id) => [id, 1])) });
		expect(Object.keys(rebalanceOrder(keepOf(nodesMax)).keep).length).toBe(nodesMax);
		expect(() => rebalanceOrder(keepOf(nodesMax + 1))).toThrow("keep is not a table of counts");
		expect(() => rebalanceOrder({ ...order, to: nodes(nodesMax + 1) })).toThrow("to is not a list of nodes");
	});
});
