import { AddressTable } from "@shardcast/limits";
import { packVersion } from "@shardcast/wire";
import { describe, expect, it } from "vitest";

/** Word of the header. */
const seedWord = 4;

describe("the table of addresses", () => {
	it("that of a process alone has room for more connections than its limit at the start, which may be raised", () => {
		const table = AddressTable.ofProcess(100);
		const counted = Array.from({ length: 20_000 }, (_, at) => table.enter(0, BigInt(at))).filter((entry) => entry >= 0);
		expect(counted).toHaveLength(20_000);
	});

	it("counts an address over all shards, in and out", () => {
		const table = AddressTable.inMemory(100, 3);
		const address = 0xc000_0201n;
		const entries = [table.enter(0, address), table.enter(0, address), table.enter(2, address)];
		expect(table.total(address)).toBe(3);
		expect(table.total(0xc000_0202n)).toBe(0);
		table.leave(entries[0]!);
		expect(table.total(address)).toBe(2);
		table.leave(entries[1]!);
		table.leave(entries[2]!);
		expect(table.total(address)).toBe(0);
		table.leave(-1);
	});

	it("forgets what a dead shard had, and only that", () => {
		const table = AddressTable.inMemory(100, 2);
		for (let count = 0; count < 5; count++) table.enter(0, 7n);
		table.enter(1, 7n);
		table.clear(0);
		expect(table.total(7n)).toBe(1);
		table.enter(0, 7n);
		expect(table.total(7n)).toBe(2);
	});

	it("holds as many addresses as a shard has connections, over and over, and is empty afterwards", () => {
		const connections = 6000;
		const buffer = new ArrayBuffer(AddressTable.bytes(1, connections));
		AddressTable.format(buffer, 1, connections);
		// With a random seed, one run in 200 would have an address that finds no place.
		new Int32Array(buffer)[seedWord] = 1;
		const table = new AddressTable(buffer);
		table.useSlots(1);
		for (let round = 0; round < 3; round++) {
			const address = (index: number) => (BigInt(round) << 40n) | (BigInt(index) << 20n) | 0xffffn;
			const entries = Array.from({ length: connections }, (_, index) => table.enter(0, address(index)));
			expect(entries.filter((entry) => entry < 0)).toHaveLength(0);
			expect(new Set(entries).size).toBe(connections);
			expect(Array.from({ length: connections }, (_, index) => table.total(address(index))).every((total) => total === 1)).toBe(true);
			for (const entry of entries) table.leave(entry);
			expect(table.total(address(5))).toBe(0);
		}
	});

	it("does not count an address whose places are all taken, and is right about the others", () => {
		const table = AddressTable.inMemory(1);
		const entries = Array.from({ length: 500 }, (_, index) => table.enter(0, BigInt(index)));
		expect(entries.filter((entry) => entry >= 0)).toHaveLength(64);
		entries.forEach((entry, index) => {
			expect(table.total(BigInt(index))).toBe(entry < 0 ? 0 : 1);
		});
	});

	it("is seen by whoever maps the same memory, and refuses other memory", () => {
		const buffer = new SharedArrayBuffer(AddressTable.bytes(2, 10));
		AddressTable.format(buffer, 2, 10);
		const [one, other] = [new AddressTable(buffer), new AddressTable(buffer)];
		one.useSlots(2);
		one.enter(1, 2n ** 63n + 5n);
		expect(other.total(2n ** 63n + 5n)).toBe(1);
		expect(other.total(5n)).toBe(0);
		expect(() => new AddressTable(new ArrayBuffer(1024))).toThrow(/not a table of addresses/);
		new Int32Array(buffer)[1] = packVersion({ major: 9, minor: 1 });
		expect(() => new AddressTable(buffer)).toThrow("has layout version 9.1, and this program uses 1.x");
		new Int32Array(buffer)[1] = packVersion({ major: 1, minor: 7 });
		expect(new AddressTable(buffer).total(2n ** 63n + 5n)).toBe(1);
	});

	it("has fewer slots when so many connections of each could not be mapped", () => {
		expect(AddressTable.slotsThatFit(64, 25_000)).toBe(64);
		const slots = AddressTable.slotsThatFit(64, 1_000_000);
		expect(slots).toBe(44);
		expect(AddressTable.bytes(slots, 1_000_000)).toBeLessThan(2 ** 31);
	});

	it("is laid out for 64 slots, and neither reads nor writes those that have no memory yet", () => {
		const [slots, connections] = [64, 1000];
		// No more memory than two slots take: whatever lies behind it would be undefined.
		const buffer = new ArrayBuffer(AddressTable.bytes(2, connections));
		AddressTable.format(buffer, slots, connections);
		const table = new AddressTable(buffer);
		table.useSlots(1);
		expect(table.enter(0, 7n)).toBeGreaterThan(0);
		expect(table.enter(1, 7n)).toBe(-1);
		expect(table.total(7n)).toBe(1);
		table.useSlots(2);
		expect(table.enter(1, 7n)).toBeGreaterThan(0);
		expect(table.total(7n)).toBe(2);
		table.clear(40);
		table.useSlots(1);
		expect(table.total(7n), "slots do not lose their memory again").toBe(2);
	});
});
