import { describe, expect, it } from "vitest";
import { SenderIds } from "../../src/sessions/sender-ids.ts";

describe("sender ids", () => {
	it("are never 0 and never that of a connected client, across the wrap of 32 bits", () => {
		const ids = new SenderIds<string>(0xffffffff - 3);
		const early = [ids.assign("a"), ids.assign("b"), ids.assign("c")];
		expect(early).toEqual([0xfffffffd, 0xfffffffe, 0xffffffff]);
		expect(ids.assign("d")).toBe(1);
		const wrapped = new SenderIds<string>(0xffffffff);
		const first = wrapped.assign("first");
		expect(first).toBe(1);
		expect(wrapped.assign("second")).toBe(2);
	});

	it("skip those in use after the wrap", () => {
		const ids = new SenderIds<string>(0);
		ids.assign("one");
		ids.assign("two");
		ids.release(1);
		const around = new SenderIds<string>(0xfffffffe);
		expect(around.assign("last")).toBe(0xffffffff);
		expect(around.assign("one")).toBe(1);
		// Come round: 0xffffffff and 1 are taken.
		for (const name of ["x", "y"]) expect([0, 0xffffffff, 1]).not.toContain(around.assign(name));
	});

	it("find their client until it has disconnected", () => {
		const ids = new SenderIds<string>();
		const id = ids.assign("client");
		expect(ids.find(id)).toBe("client");
		ids.release(id);
		expect(ids.find(id)).toBeUndefined();
		expect(ids.count).toBe(0);
	});
});
