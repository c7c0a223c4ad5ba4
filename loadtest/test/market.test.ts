import { describe, expect, it } from "vitest";
import { Market } from "../src/market.ts";

describe("the made-up market", () => {
	it("has every symbol and kind, quotes around the price, and numbers without gaps", () => {
		let seed = 42;
		const market = new Market(() => {
			seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
			return seed / 2 ** 32;
		});
		const sequences = new Map<string, number>();
		const seen = new Set<string>();
		for (let event = 0; event < 5000; event++) {
			const { symbol, kind, data } = market.next(1);
			seen.add(`${symbol}.${kind}`);
			expect(data.sequence).toBe((sequences.get(symbol) ?? 0) + 1);
			sequences.set(symbol, data.sequence as number);
			if (kind === "quote") expect(data.bid as number).toBeLessThan(data.ask as number);
			else expect(data.size as number).toBeGreaterThan(0);
		}
		expect(seen.size).toBe(12);
		expect(sequences.get("BTC")!).toBeGreaterThan(sequences.get("DOGE")! * 5);
	});
});
