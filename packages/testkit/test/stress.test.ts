import { describe, expect, it } from "vitest";
import { factorFrom } from "../src/stress.ts";

describe("SHARDCAST_STRESS", () => {
	it("is 1 when it is not given", () => {
		expect(factorFrom(undefined)).toBe(1);
		expect(factorFrom("25")).toBe(25);
	});

	it.each(["", "0", "0.5", "yes", "-1", "1001", "Infinity"])("%j is refused", (text) => {
		expect(() => factorFrom(text)).toThrow(`SHARDCAST_STRESS=${text}: give a number from 1 to 1000`);
	});
});
