import { describe, expect, it } from "vitest";
import { BackendIds } from "../../src/backends/backend-ids.ts";

describe("ids of backends", () => {
	it("begin with 1, and are the same for the same address", () => {
		const ids = new BackendIds();
		expect(["a", "b", "a", "c", "b"].map((address) => ids.of(address))).toEqual([1, 2, 1, 3, 2]);
	});

	it("are not given to another address, even when the former one is forgotten", () => {
		const ids = new BackendIds(2);
		expect(["a", "b", "a", "c", "a", "b"].map((address) => ids.of(address))).toEqual([1, 2, 1, 3, 1, 4]);
		expect(ids.forgotten).toBe(2);
	});

	it("begin again after the last one, without those that are remembered", () => {
		const ids = new BackendIds(3, 5);
		expect(["a", "b", "c", "a", "d", "a", "e", "a", "f"].map((address) => ids.of(address))).toEqual([1, 2, 3, 1, 4, 1, 5, 1, 2]);
		expect(ids.of("a")).toBe(1);
	});
});
