import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { consistentHash } from "../src/consistent-hash.ts";
import { node, nodes, tally } from "./support.ts";

const addresses = Array.from({ length: 4000 }, (_, at) => `10.0.${at >> 8}.${at & 255}`);

describe("consistent hashing", () => {
	it("spreads the keys evenly, also addresses that differ in one digit", { tags: ["long"] }, () => {
		for (const count of [2, 3, 10]) {
			const sent = tally(addresses.map((address) => consistentHash(nodes(count), address).id));
			expect(Object.keys(sent)).toHaveLength(count);
			for (const [id, keys] of Object.entries(sent)) {
				const share = (keys * count) / addresses.length;
				expect(share, `${id} of ${count}`).toBeGreaterThan(0.85);
				expect(share, `${id} of ${count}`).toBeLessThan(1.15);
			}
		}
	});

	it("in proportion to the weights", () => {
		const sent = tally(addresses.map((address) => consistentHash([node("a", { weight: 3 }), node("b")], address).id));
		expect(sent.a / sent.b).toBeGreaterThan(2.7);
		expect(sent.a / sent.b).toBeLessThan(3.3);
	});

	it("depends on nothing but the key and the candidates: not on their order, nor on who asks", () => {
		fc.assert(
			fc.property(fc.string(), fc.shuffledSubarray(nodes(6), { minLength: 6 }), (key, shuffled) => {
				expect(consistentHash(shuffled, key).id).toBe(consistentHash(nodes(6), key).id);
			}),
		);
		// A new version must find the nodes that this one finds.
		expect(["10.0.0.1", "10.0.0.2", "ann", "", "größe"].map((key) => consistentHash(nodes(5), key).id)).toEqual([
			"n2",
			"n3",
			"n4",
			"n4",
			"n2",
		]);
	});

	it("when one leaves only its keys move, and when it joins only those that it gets", () => {
		const all = nodes(8);
		for (const left of all) {
			const rest = all.filter(({ id }) => id !== left.id);
			for (const address of addresses.slice(0, 1000)) {
				const before = consistentHash(all, address).id;
				const after = consistentHash(rest, address).id;
				if (before !== left.id && after !== before) expect.fail(`${address} without ${left.id}: ${after} instead of ${before}`);
			}
		}
	});

	it("no choice of keys brings a candidate above 1.25 times its share", () => {
		let candidates = nodes(4);
		for (let at = 0; at < 2000; at++) {
			const { id } = consistentHash(candidates, "always the same");
			candidates = candidates.map((each) => (each.id === id ? { ...each, connections: each.connections + 1 } : each));
		}
		const most = Math.max(...candidates.map(({ connections }) => connections));
		expect(most).toBeLessThanOrEqual(Math.ceil((1.25 * 2000) / 4));
		expect(most, "the preferred one is used up to there").toBeGreaterThan(600);
	});

	it("a key that does not fit goes to its next candidate, which is the same each time", () => {
		const first = consistentHash(nodes(5), "ann").id;
		const over = nodes(5).map((each) => (each.id === first ? { ...each, connections: 1000 } : { ...each, connections: 100 }));
		const second = consistentHash(over, "ann").id;
		expect(second).not.toBe(first);
		expect(
			consistentHash(
				nodes(5).filter(({ id }) => id !== first),
				"ann",
			).id,
			"as if the first were gone",
		).toBe(second);
	});

	it("a few clients of one key stay together", () => {
		const first = consistentHash(nodes(3), "ann").id;
		const with15 = nodes(3).map((each) => (each.id === first ? { ...each, connections: 15 } : each));
		expect(consistentHash(with15, "ann").id).toBe(first);
		const with16 = nodes(3).map((each) => (each.id === first ? { ...each, connections: 16 } : each));
		expect(consistentHash(with16, "ann").id).not.toBe(first);
	});
});
