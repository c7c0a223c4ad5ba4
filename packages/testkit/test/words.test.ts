import { describe, expect, it } from "vitest";
import { misused, titleIds } from "./words.ts";

describe("words", () => {
	it.each([
		"we mend it",
		"started anew",
		"makeAnew(",
		"a thread of its own",
		"one library, one door",
		"class FrontDoor",
		"seeOff()",
		"let seat;",
		"roomsMax",
	])("%s is found", (line) => {
		expect(misused("packages/x/src/y.ts", line)).toHaveLength(1);
	});

	it.each(["recommended", "a doorbell", "its own port", "renewed", "there is room", "drain(deadlineMs)", "indoors"])(
		"%s is right",
		(line) => {
			expect(misused("packages/x/src/y.ts", line)).toEqual([]);
		},
	);

	it("a title with an id is found, one with a status code or a product is right", () => {
		expect(titleIds.test('it("B1, M12: every client", () => {')).toBe(true);
		expect(titleIds.test('describe("14: the table", () => {')).toBe(true);
		expect(titleIds.test('it("1013: a client that", () => {')).toBe(false);
		expect(titleIds.test('it("V8 hashes", () => {')).toBe(false);
	});
});
