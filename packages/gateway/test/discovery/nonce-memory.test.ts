import { describe, expect, it } from "vitest";
import { NonceMemory } from "../../src/discovery/nonce-memory.ts";

describe("the memory of nonces", () => {
	it("knows a nonce for at least the time, and forgets it after twice as long", () => {
		const memory = new NonceMemory(60, 10);
		expect(memory.add("a", 0)).toBe("added");
		expect(memory.add("b", 59)).toBe("added");
		expect(memory.add("a", 60)).toBe("known");
		expect(memory.add("b", 119)).toBe("known");
		expect(memory.add("c", 120)).toBe("added");
		expect(memory.add("b", 120)).toBe("added");
		expect(memory.size).toBe(2);
	});

	it("forgets all after a long silence", () => {
		const memory = new NonceMemory(60, 10);
		memory.add("a", 0);
		memory.add("b", 1000);
		expect(memory.size).toBe(1);
	});

	it("refuses when it is full, and never forgets for that", () => {
		const memory = new NonceMemory(60, 3);
		for (const nonce of ["a", "b", "c"]) memory.add(nonce, 0);
		expect(memory.add("d", 1)).toBe("full");
		expect(memory.add("a", 1)).toBe("known");
		expect(memory.add("d", 60)).toBe("added");
		expect(memory.add("a", 60)).toBe("known");
	});
});
