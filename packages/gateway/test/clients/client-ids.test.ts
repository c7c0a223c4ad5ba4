import { describe, expect, it } from "vitest";
import { ClientIds } from "../../src/clients/client-ids.ts";

const nobody = () => false;

describe("ids of clients", () => {
	it("are of their slot, never 0, and none comes twice", () => {
		for (const slot of [0, 5, 63]) {
			const ids = new ClientIds({ slot, isUsed: nobody, unixTime: 0 });
			const given = Array.from({ length: 10_000 }, () => ids.next());
			expect(new Set(given).size).toBe(10_000);
			expect(given.every((id) => id > 0 && Math.floor(id / 2 ** 26) === slot)).toBe(true);
		}
	});

	it("skip those in use and 0 where they begin again", () => {
		const lastSecond = 2 ** 26 / 1024 - 1 / 1024;
		const used = new Set([2 ** 26 - 1, 1, 2]);
		expect(new ClientIds({ slot: 0, isUsed: (id) => used.has(id), unixTime: lastSecond - 1 / 1024 }).next()).toBe(3);
	});

	it("do not come again after a restart, up to 1,024 clients per second", () => {
		const startedAt = 1_800_000_000;
		const first = new ClientIds({ slot: 0, isUsed: nobody, unixTime: startedAt });
		const before = new Set(Array.from({ length: 60 * 1024 }, () => first.next()));
		const second = new ClientIds({ slot: 0, isUsed: nobody, unixTime: startedAt + 60 });
		expect(Array.from({ length: 1000 }, () => second.next()).filter((id) => before.has(id))).toEqual([]);
	});
});
