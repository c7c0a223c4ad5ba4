import { expect, it } from "vitest";
import { globMatches } from "../../src/json/glob.ts";

it.each([
	["*", "", true],
	["*", "chat:1", true],
	["chat:*", "chat:1", true],
	["chat:*", "chat", false],
	["*:1", "chat:1", true],
	["c?at", "chat", true],
	["c?at", "cat", false],
	["a*b*c", "a-b-b-c", true],
	["a*b*c", "a-b-b-d", false],
	["", "a", false],
	["(a+)+$", "aaa", false],
])("%s matches %s: %s", (pattern, name, expected) => {
	expect(globMatches(pattern, name)).toBe(expected);
});

it("costs little even for a pathological pattern", () => {
	const began = performance.now();
	expect(globMatches(`${"*a".repeat(127)}b`, "a".repeat(255))).toBe(false);
	expect(performance.now() - began).toBeLessThan(1000);
});
