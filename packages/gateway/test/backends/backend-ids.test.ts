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

	it("begin again with 1 after 2^32, without those that are remembered and without 0", () => {
		const ids = new BackendIds(4, 2 ** 32 - 3);
		expect(["a", "b", "c", "d", "a", "e"].map((address) => ids.of(address))).toEqual([2 ** 32 - 2, 2 ** 32 - 1, 1, 2, 2 ** 32 - 2, 3]);
	});
});
