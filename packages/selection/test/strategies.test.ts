import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { adaptive } from "../src/adaptive.ts";
import { leastConnections } from "../src/least-connections.ts";
import { type Credits, nextTurn } from "../src/turns.ts";
import { twoChoices } from "../src/two-choices.ts";
import { node, nodes, sequence, tally } from "./support.ts";

type Pick = (candidates: readonly ReturnType<typeof node>[]) => { readonly id: string };

/** Sends clients one after the other, each counted at once. */
function send(clients: number, start: readonly ReturnType<typeof node>[], pick: Pick): Record<string, number> {
	let candidates = start;
	const ids: string[] = [];
	for (let at = 0; at < clients; at++) {
		const { id } = pick(candidates);
		ids.push(id);
		candidates = candidates.map((each) => (each.id === id ? { ...each, connections: each.connections + 1 } : each));
	}
	return tally(ids);
}
const counts = (tallied: Record<string, number>, ids: readonly string[]) => ids.map((id) => tallied[id] ?? 0);

describe("least connections", () => {
	it("fills up the emptiest first, then all evenly", () => {
		const start = [node("a", { connections: 10 }), node("b", { connections: 4 }), node("c")];
		const random = sequence();
		expect(send(4, start, (all) => leastConnections(all, random))).toEqual({ c: 4 });
		expect(
			counts(
				send(46, start, (all) => leastConnections(all, random)),
				["a", "b", "c"],
			),
		).toEqual([10, 16, 20]);
	});

	it("in proportion to the weights", () => {
		const start = [node("a", { weight: 3 }), node("b", { weight: 1 })];
		expect(send(400, start, (all) => leastConnections(all, sequence()))).toEqual({ a: 300, b: 100 });
	});

	it("begins with any of those that are equal", () => {
		const random = sequence();
		const first = tally(Array.from({ length: 3000 }, () => leastConnections(nodes(3), random).id));
		for (const id of ["n0", "n1", "n2"]) expect(first[id], `${id} among ${JSON.stringify(first)}`).toBeGreaterThan(900);
	});
});

describe("two choices at random", () => {
	it("never the fullest, and nearly even", () => {
		const random = sequence();
		const sent = send(3000, nodes(5), (all) => twoChoices(all, random));
		const each = counts(sent, ["n0", "n1", "n2", "n3", "n4"]);
		expect(Math.max(...each) - Math.min(...each), JSON.stringify(sent)).toBeLessThan(20);
		const unequal = [node("a"), node("b"), node("c", { connections: 1 })];
		expect(tally(Array.from({ length: 300 }, () => twoChoices(unequal, random).id)).c).toBeUndefined();
	});

	it("with figures that nobody renews, no candidate gets more than two thirds of three", () => {
		const random = sequence();
		const stale = [node("a"), node("b", { connections: 500 }), node("c", { connections: 900 })];
		const sent = tally(Array.from({ length: 3000 }, () => twoChoices(stale, random).id));
		expect(sent.a, JSON.stringify(sent)).toBeGreaterThan(1900);
		expect(sent.a).toBeLessThan(2100);
		expect(sent.b).toBeGreaterThan(900);
	});

	it("takes the only candidate", () => {
		expect(twoChoices(nodes(1), sequence()).id).toBe("n0");
	});
});

describe("turns", () => {
	const inTurn = (weightOf: (each: { weight: number }) => number, random = sequence()) => {
		const credits: Credits = new Map();
		return (all: readonly ReturnType<typeof node>[]) => nextTurn(all, credits, weightOf, random);
	};

	it("weights 3 and 1 give three and one of every four, evenly spread", () => {
		const pick = inTurn(
			({ weight }) => weight,
			() => 0,
		);
		const all = [node("a", { weight: 3 }), node("b")];
		expect(Array.from({ length: 8 }, () => pick(all).id).join("")).toBe("aabaaaba");
	});

	it("of equal weight, each gets one turn in a round, wherever the rounds begin", () => {
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 8 }), fc.integer(), (count, seed) => {
				const pick = inTurn(() => 1, sequence(seed));
				const all = nodes(count);
				for (let round = 0; round < 5; round++)
					expect(Object.keys(tally(all.map(() => pick(all).id))), `round ${round}`).toHaveLength(count);
			}),
		);
	});

	it("not all who choose begin with the same candidate", () => {
		const first = tally(Array.from({ length: 90 }, (_, seed) => inTurn(() => 1, sequence(seed))(nodes(3)).id));
		for (const id of ["n0", "n1", "n2"]) expect(first[id], `${id} among ${JSON.stringify(first)}`).toBeGreaterThan(15);
	});

	it("in any number of turns each is near its share", () => {
		const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 6 });
		fc.assert(
			fc.property(weights, fc.integer({ min: 1, max: 200 }), (each, turns) => {
				const all = each.map((weight, at) => node(`n${at}`, { weight }));
				const pick = inTurn(
					({ weight }) => weight,
					() => 0,
				);
				const sent = tally(Array.from({ length: turns }, () => pick(all).id));
				const total = each.reduce((sum, weight) => sum + weight, 0);
				for (const { id, weight } of all) expect(Math.abs((sent[id] ?? 0) - (turns * weight) / total), id).toBeLessThan(1.5);
			}),
		);
	});

	it("among some of the candidates leave those of the rest alone", () => {
		const pick = inTurn(() => 1);
		const [a, b, c, d] = nodes(4);
		const sent = tally(Array.from({ length: 100 }, () => [pick([a, b]).id, pick([c, d]).id]).flat());
		expect(counts(sent, ["n0", "n1", "n2", "n3"])).toEqual([50, 50, 50, 50]);
	});

	it("go on evenly when a candidate joins or leaves", () => {
		const pick = inTurn(() => 1);
		const all = nodes(4);
		for (const each of [all.slice(0, 3), all, all.slice(1)]) {
			const sent = tally(Array.from({ length: 60 }, () => pick(each).id));
			for (const { id } of each) expect(Math.abs(sent[id] - 60 / each.length), `${id} of ${each.length}`).toBeLessThanOrEqual(1);
		}
	});
});

describe("adaptive", () => {
	const spread = (...all: readonly ReturnType<typeof node>[]) => {
		const random = sequence();
		return counts(
			tally(Array.from({ length: 10_000 }, () => adaptive(all, random).id)),
			all.map(({ id }) => id),
		);
	};

	it.each([
		["CPU", { cpu: 0.85 }, { cpu: 0.849 }],
		["memory", { memory: 0.85 }, { memory: 0.849 }],
		["loop lag", { loopLagMs: 100 }, { loopLagMs: 99.9 }],
	])("an overloaded one gets nothing while another is not: %s", (_, over, nearly) => {
		expect(spread(node("a", over), node("b", nearly))[0]).toBe(0);
		expect(spread(node("a", nearly), node("b"))[0], "one that is nearly overloaded gets a little").toBeGreaterThan(0);
	});

	it("in proportion to the headroom of the scarcest resource", () => {
		const [a, b, c] = spread(node("a"), node("b", { cpu: 0.425, memory: 0.1 }), node("c", { loopLagMs: 50, cpu: 0.2 }));
		expect(a / b).toBeGreaterThan(1.8);
		expect(a / b).toBeLessThan(2.2);
		expect(Math.abs(b - c)).toBeLessThan(300);
	});

	it("in proportion to the weight, and to the room for connections", () => {
		const [a, b] = spread(node("a", { weight: 3 }), node("b"));
		expect(a / b).toBeGreaterThan(2.7);
		expect(a / b).toBeLessThan(3.3);
		const [empty, half] = spread(node("a", { maxConnections: 100 }), node("b", { connections: 50, maxConnections: 100 }));
		expect(empty / half).toBeGreaterThan(1.8);
		expect(empty / half).toBeLessThan(2.2);
	});

	it("when all are overloaded, the least overloaded gets most", () => {
		const [a, b] = spread(node("a", { cpu: 0.9 }), node("b", { loopLagMs: 1000 }));
		expect(b).toBeGreaterThan(0);
		expect(a / b).toBeGreaterThan(7);
	});
});
