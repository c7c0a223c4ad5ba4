import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { divide, divideByCount } from "../src/divide.ts";
import { rebalancePlan } from "../src/index.ts";
import { anyNodes, node } from "./support.ts";

const any = { tolerance: 0, region: "any" } as const;
const total = (numbers: readonly number[]) => numbers.reduce((sum, each) => sum + each, 0);
const moves = (plan: ReturnType<typeof rebalancePlan>) =>
	Object.fromEntries(plan.nodes.map(({ id, leaving, arriving }) => [id, arriving - leaving]));

describe("a plan to rebalance", () => {
	it("moves only what exceeds the shares, only to nodes that take clients, and no more than they have room for", () => {
		fc.assert(
			fc.property(anyNodes, fc.constantFrom(0, 0.1, 0.5), fc.constantFrom("own", "any"), (all, tolerance, region) => {
				const plan = rebalancePlan(all, { tolerance, region });
				const fit = all.filter(({ status, health }) => status === "serving" && health !== "unhealthy");
				expect(plan.nodes.map(({ id }) => id)).toEqual(fit.map(({ id }) => id).toSorted());
				const known = new Map(all.map((each) => [each.id, each]));
				for (const { id, connections, share, leaving, arriving } of plan.nodes) {
					const { maxConnections } = known.get(id)!;
					for (const count of [share, leaving, arriving]) expect(Number.isInteger(count) && count >= 0).toBe(true);
					expect(share).toBeLessThanOrEqual(maxConnections);
					expect(Math.min(leaving, arriving), "in one direction").toBe(0);
					if (leaving > 0) {
						expect(connections, "only above the tolerance").toBeGreaterThan(share * (1 + tolerance));
						expect(connections - leaving, "no more than its surplus").toBeGreaterThanOrEqual(share);
					}
					expect(arriving > 0 ? connections + arriving : 0, "no more than its share").toBeLessThanOrEqual(share);
				}
				const regions = region === "own" ? ["", "eu", "us"] : [null];
				for (const name of regions) {
					const group = plan.nodes.filter(({ id }) => name === null || known.get(id)!.region === name);
					expect(total(group.map(({ leaving }) => leaving))).toBe(total(group.map(({ arriving }) => arriving)));
				}
				expect(plan.clients).toBe(total(plan.nodes.map(({ leaving }) => leaving)));
				expect(plan.recommended).toBe(plan.clients > 0);
			}),
		);
	});

	it("is minimal: afterwards each node is within its share and the tolerance, or nobody has room, and nothing more is recommended", () => {
		fc.assert(
			fc.property(anyNodes, fc.constantFrom(0, 0.1, 0.5), (all, tolerance) => {
				const plan = rebalancePlan(all, { tolerance, region: "any" });
				const by = moves(plan);
				const after = all.map((each) => ({ ...each, connections: each.connections + (by[each.id] ?? 0) }));
				expect(total(after.map(({ connections }) => connections))).toBe(total(all.map(({ connections }) => connections)));
				expect(moves(rebalancePlan(after, { tolerance, region: "any" }))).toEqual(Object.fromEntries(plan.nodes.map(({ id }) => [id, 0])));
			}),
		);
	});

	it("goes by weight, and by what a node can take", () => {
		const two = [node("a", { connections: 90, weight: 1 }), node("b", { connections: 0, weight: 2 })];
		expect(moves(rebalancePlan(two, any))).toEqual({ a: -60, b: 60 });
		const small = [node("a", { connections: 90 }), node("b", { maxConnections: 10 }), node("c", { connections: 10 })];
		expect(moves(rebalancePlan(small, any))).toEqual({ a: -45, b: 10, c: 35 });
	});

	it("leaves nodes within the tolerance alone, and those beyond it keep their share", () => {
		const all = [node("a", { connections: 109 }), node("b", { connections: 101 }), node("c", { connections: 90 })];
		expect(rebalancePlan(all, { tolerance: 0.1, region: "any" })).toMatchObject({ recommended: false, clients: 0, tolerance: 0.1 });
		expect(moves(rebalancePlan(all, { tolerance: 0.05, region: "any" }))).toEqual({ a: -9, b: 0, c: 9 });
	});

	it("a node that was probably killed a moment ago gets nobody", () => {
		const all = [node("a", { connections: 90 }), node("b", { away: true }), node("c", { connections: 10 })];
		expect(moves(rebalancePlan(all, any))).toEqual({ a: -40, c: 40 });
	});

	it("a remainder moves nobody", () => {
		const all = [node("a", { connections: 1 }), node("b", { connections: 2 }), node("c", { connections: 1 })];
		expect(rebalancePlan(all, any).clients).toBe(0);
		expect(rebalancePlan([node("a", { connections: 2 }), node("b")], any).clients).toBe(1);
	});

	it("by region, clients stay in theirs; nodes without a region are one, too", () => {
		const all = [
			node("a", { region: "eu", connections: 80 }),
			node("b", { region: "us" }),
			node("c", { region: "eu" }),
			node("d", { connections: 9 }),
		];
		expect(moves(rebalancePlan(all, { tolerance: 0, region: "own" }))).toEqual({ a: -40, b: 0, c: 40, d: 0 });
		expect(rebalancePlan([], any)).toEqual({ recommended: false, clients: 0, tolerance: 0, nodes: [] });
	});
});

it("divides an amount into whole numbers by weight, at most what each can take", () => {
	fc.assert(
		fc.property(fc.nat(10_000), fc.array(fc.record({ weight: fc.nat(9), max: fc.nat(5000) }), { maxLength: 8 }), (amount, parts) => {
			const results = divide(amount, parts);
			const most = total(parts.map(({ weight, max }) => (weight > 0 ? max : 0)));
			expect(total(results)).toBe(Math.min(amount, most));
			for (const [at, { weight, max }] of parts.entries()) expect(results[at]).toBeLessThanOrEqual(weight > 0 ? max : 0);
			const open = parts.flatMap(({ weight, max }, at) => (results[at] < max && weight > 0 ? [{ weight, got: results[at] }] : []));
			for (const { weight, got } of open)
				for (const other of open)
					expect(Math.abs(got / weight - other.got / other.weight)).toBeLessThanOrEqual(1 / weight + 1 / other.weight);
		}),
	);
});

it("an amount in proportion to counts adds up, and none exceeds its count", () => {
	fc.assert(
		fc.property(fc.array(fc.nat(1000), { maxLength: 8 }), fc.nat(1000), (counts, share) => {
			const all = counts.reduce((sum, count) => sum + count, 0);
			const amount = Math.floor((all * share) / 1000);
			const parts = divideByCount(amount, counts);
			expect(parts.reduce((sum, part) => sum + part, 0)).toBe(amount);
			for (const [at, part] of parts.entries()) {
				expect(part).toBeLessThanOrEqual(counts[at]);
				expect(Math.abs(part - (all === 0 ? 0 : (amount * counts[at]) / all))).toBeLessThan(1);
			}
		}),
	);
});
