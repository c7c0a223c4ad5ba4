import { expect, it } from "vitest";
import { CallSlots } from "../../src/backend/call-slots.ts";

it("a limited number of calls run, a limited number wait in order, and one more is refused", () => {
	const slots = new CallSlots(2, 2);
	const begun: string[] = [];
	const calls = ["a", "b", "c", "d", "e"].map((name) => () => void begun.push(name));
	expect(calls.map((begin) => slots.take(begin))).toEqual([true, true, true, true, false]);
	expect([begun, slots.running, slots.waiting]).toEqual([["a", "b"], 2, 2]);
	slots.leave(calls[1]!);
	expect([begun, slots.running, slots.waiting]).toEqual([["a", "b", "c"], 2, 1]);
});

it("a call that is cancelled while it waits never starts, and frees its slot", () => {
	const slots = new CallSlots(1, 1);
	const begun: string[] = [];
	const [a, b, c] = ["a", "b", "c"].map((name) => () => void begun.push(name)) as [() => void, () => void, () => void];
	slots.take(a);
	slots.take(b);
	slots.leave(b);
	expect(slots.take(c)).toBe(true);
	slots.leave(a);
	expect([begun, slots.running, slots.waiting]).toEqual([["a", "c"], 1, 0]);
	slots.leave(c);
	expect([slots.running, slots.waiting]).toEqual([0, 0]);
});
