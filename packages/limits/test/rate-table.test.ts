import { describe, expect, it } from "vitest";
import { addressKeyOf } from "../src/address-key.ts";
import { RateKind, RateTable } from "../src/rate-table.ts";

const { connections, publishes } = RateKind;
const [one, other] = [addressKeyOf("192.0.2.1"), addressKeyOf("2001:db8:0:7::1")];

/** So many tables over the same bytes, as the processes of a cluster have them. */
function tables(count: number): RateTable[] {
	const buffer = new SharedArrayBuffer(RateTable.bytes);
	RateTable.format(buffer);
	return Array.from({ length: count }, () => new RateTable(buffer));
}

describe("rates of a whole cluster", () => {
	it("let a second's worth through at once and then so many per second, whichever process is asked", () => {
		for (const rate of [1, 3, 6, 7, 10, 999]) {
			const processes = tables(3);
			const taken = (nowMs: number) =>
				Array.from({ length: 3 * rate }, (_, index) => processes[index % 3].take(publishes, one, rate, nowMs)).filter(Boolean).length;
			expect(taken(5000), `${rate} per second`).toBe(rate);
			expect(taken(5000)).toBe(0);
			expect(taken(6000)).toBe(rate);
			expect(taken(6500)).toBeLessThanOrEqual(Math.ceil(rate / 2));
			expect(taken(3_600_000)).toBe(rate);
		}
		const [table] = tables(1);
		let taken = 0;
		for (let ms = 0; ms < 10_000; ms++) if (table.take(publishes, one, 30, ms)) taken++;
		expect(taken).toBeGreaterThanOrEqual(30 * 10);
		expect(taken).toBeLessThanOrEqual(30 * 11);
	});

	it("count each address and each kind for itself; those of one /64 together", () => {
		const [table] = tables(1);
		expect([1, 2, 3].map(() => table.take(publishes, one, 2, 0))).toEqual([true, true, false]);
		expect(table.take(publishes, other, 2, 0)).toBe(true);
		expect(table.take(publishes, addressKeyOf("2001:db8:0:7:ffff:1:2:3"), 2, 0)).toBe(true);
		expect(table.take(publishes, addressKeyOf("2001:db8:0:7::9"), 2, 0)).toBe(false);
		expect(table.take(publishes, addressKeyOf("2001:db8:0:8::1"), 2, 0)).toBe(true);
		expect(table.take(connections, one, 2, 0)).toBe(true);
		expect([1, 2, 3].map(() => table.takeFromAll(2, 0))).toEqual([true, true, false]);
	});

	it("tell what there is without taking it", () => {
		const [taker, looker] = tables(2);
		for (let count = 0; count < 10; count++) expect(looker.has(connections, one, 2, 0)).toBe(true);
		taker.take(connections, one, 2, 0);
		expect(looker.has(connections, one, 2, 0)).toBe(true);
		taker.take(connections, one, 2, 0);
		expect([looker.has(connections, one, 2, 0), looker.has(connections, one, 2, 500), looker.has(connections, other, 2, 0)]).toEqual([
			false,
			true,
			true,
		]);
		expect(looker.hasForAll(1, 0)).toBe(true);
		taker.takeFromAll(1, 0);
		expect([looker.hasForAll(1, 0), looker.hasForAll(1, 1000)]).toEqual([false, true]);
	});

	it("may change: what a bucket has beyond the new rate is gone", () => {
		const [table] = tables(1);
		expect(table.take(publishes, one, 1000, 0)).toBe(true);
		const taken = (rate: number, nowMs: number) =>
			Array.from({ length: 50 }, () => table.take(publishes, one, rate, nowMs)).filter(Boolean).length;
		expect(taken(5, 1000)).toBe(5);
		expect(taken(20, 1000)).toBe(0);
		expect(taken(20, 2000)).toBe(20);
	});

	it("are bounded: of addresses that are all busy the one that is next to full is forgotten, and counted", { tags: ["long"] }, () => {
		const [table, second] = tables(2);
		// The first is the emptiest, so it stays.
		for (let count = 0; count < 10; count++) table.take(connections, one, 10, 0);
		let refused = 0;
		for (let key = 1n; key <= 60_000n; key++) if (!table.take(connections, key << 32n, 10, 0)) refused++;
		expect(table.forgotten).toBeGreaterThan(60_000 - 16_384);
		expect(second.take(connections, one, 10, 0)).toBe(false);
		const { forgotten } = table;
		// A second later all are full again: forgetting them gives nothing away.
		for (let key = 1n; key <= 5000n; key++) if (!table.take(connections, key, 10, 1000)) refused++;
		expect(refused).toBe(0);
		expect(table.forgotten - forgotten).toBeLessThan(100);
	});

	it("hold few addresses in one place, however they are chosen", () => {
		for (const shift of [0n, 20n, 32n, 40n, 50n]) {
			const [table] = tables(1);
			for (let key = 1n; key <= 4096n; key++) table.take(publishes, BigInt.asUintN(64, key << shift), 1, 0);
			expect(table.forgotten, `steps of 2^${shift}`).toBeLessThan(50);
		}
	});

	it("refuse bytes that are none", () => {
		expect(() => new RateTable(new ArrayBuffer(RateTable.bytes))).toThrow(/start the cluster again/);
		expect(() => new RateTable(new ArrayBuffer(8))).toThrow(/start the cluster again/);
	});
});
