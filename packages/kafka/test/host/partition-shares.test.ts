import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { partitionShares } from "../../src/host/assignment/partition-shares.ts";

const setOf = (most: number, max: number) => fc.uniqueArray(fc.nat(max), { minLength: 1, maxLength: most });
const rowsOf = setOf(200, 2047);
const membersOf = setOf(16, 63);

function moved(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
	return [...before].filter(([row, member]) => after.get(row) !== member).length;
}

describe("partitionShares", () => {
	it("gives every row to one member, and no member more than one row more than another", () => {
		fc.assert(
			fc.property(rowsOf, membersOf, (rows, members) => {
				const shares = partitionShares(rows, members);
				expect(shares.size).toBe(rows.length);
				for (const member of members) {
					const count = [...shares.values()].filter((of) => of === member).length;
					expect(count).toBeGreaterThanOrEqual(Math.floor(rows.length / members.length));
					expect(count).toBeLessThanOrEqual(Math.ceil(rows.length / members.length));
				}
			}),
		);
	});

	it("is the same in every process, whatever order it sees rows and members in", () => {
		fc.assert(
			fc.property(rowsOf, membersOf, fc.func(fc.integer()), (rows, members, key) => {
				const shuffled = <T>(list: readonly T[]) => list.toSorted((one, other) => key(one) - key(other));
				const byRow = (shares: ReadonlyMap<number, number>) => [...shares].toSorted(([one], [other]) => one - other);
				expect(byRow(partitionShares(shuffled(rows), shuffled(members)))).toEqual(byRow(partitionShares(rows, members)));
			}),
		);
	});

	it("a member that comes back finds what it had, and all others too", () => {
		fc.assert(
			fc.property(rowsOf, membersOf, (rows, members) => {
				const before = partitionShares(rows, members);
				partitionShares(rows, members.slice(1));
				expect(moved(before, partitionShares(rows, members))).toBe(0);
			}),
		);
	});

	it("little moves when a member comes or goes: not much more than what it had or gets", () => {
		for (const [count, memberCount, most] of [
			[12, 2, 1],
			[24, 8, 2],
			[100, 8, 2],
			[1000, 16, 2],
		] as const) {
			const rows = Array.from({ length: count }, (_, index) => (index * 167) % 2048);
			const members = Array.from({ length: memberCount }, (_, slot) => slot);
			const full = partitionShares(rows, members);
			let [all, needed] = [0, 0];
			for (const gone of members) {
				all += moved(
					full,
					partitionShares(
						rows,
						members.filter((member) => member !== gone),
					),
				);
				needed += [...full.values()].filter((member) => member === gone).length;
			}
			expect(all / needed, `${count} partitions, ${memberCount} members`).toBeLessThanOrEqual(most);
		}
	});

	it("gives nothing to nobody", () => {
		expect(partitionShares([1, 2], []).size).toBe(0);
		expect(partitionShares([], [1]).size).toBe(0);
	});
});
