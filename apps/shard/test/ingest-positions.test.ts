import { describe, expect, it } from "vitest";
import { PositionLayout } from "../src/ingest/positions/position-descriptor.ts";
import { positionsInMemory } from "../src/ingest/positions/position-file.ts";
import { ownerOf, PositionTable, slotOfOwner } from "../src/ingest/positions/position-table.ts";

function tables(rowsMax: number): [PositionTable, PositionTable] {
	const buffer = new SharedArrayBuffer(PositionTable.bytes(rowsMax));
	PositionTable.format(buffer, rowsMax);
	return [new PositionTable(buffer), new PositionTable(buffer)];
}

describe("PositionTable", () => {
	it("gives each partition one row, the same in all processes, until it is full", () => {
		const [one, two] = tables(40);
		const rows = new Set<number>();
		for (const topic of ["a", "b", "topic.with-a_long.name", "x".repeat(PositionLayout.topicBytesMax)])
			for (let partition = 0; partition < 10; partition++) {
				const row = (partition % 2 === 0 ? one : two).rowOf(topic, partition);
				rows.add(row);
				expect(two.rowOf(topic, partition)).toBe(row);
				expect([one.topic(row), one.partition(row)]).toEqual([topic, partition]);
			}
		expect(rows.size).toBe(40);
		expect(one.rowOf("one more", 0)).toBe(-1);
		expect(one.rowOf("a", 3)).toBeGreaterThanOrEqual(0);
	});

	it("settles a start once; the position is the highest that any shard has delivered", () => {
		const [one, two] = tables(4);
		const row = one.rowOf("t", 0);
		expect(one.position(row)).toBeNull();
		one.startAt(row, 100, 1000);
		two.startAt(row, 7, 2000);
		expect(two.position(row)).toBe(100);
		one.setDelivered(row, 3, 150);
		two.setDelivered(row, 5, 140);
		expect(two.position(row)).toBe(150);
		one.restartAt(row, 2);
		expect(two.position(row)).toBe(2);
	});

	it("lets a shard that was there before the partition begin at its start, one that came later where the others are", () => {
		const [table] = tables(4);
		const row = table.rowOf("t", 0);
		table.startAt(row, 10, 1000);
		table.setDelivered(row, 0, 90);
		expect(table.positionSince(row, 999)).toBe(10);
		expect(table.positionSince(row, 1001)).toBe(90);
	});

	it("hands a partition from one owner to the next by comparing first", () => {
		const [one, two] = tables(4);
		const row = one.rowOf("t", 0);
		const first = ownerOf(63, 1);
		const second = ownerOf(0, 250);
		expect([slotOfOwner(first), slotOfOwner(second)]).toEqual([63, 0]);
		expect(one.changeOwner(row, 0, first)).toBe(true);
		expect(two.changeOwner(row, 0, second)).toBe(false);
		expect(two.changeOwner(row, first, second)).toBe(true);
		expect(one.owner(row)).toBe(second);
	});

	it("refuses memory of another version", () => {
		expect(() => new PositionTable(new ArrayBuffer(PositionTable.bytes(1)))).toThrow(/same build/);
		expect(positionsInMemory().rowsMax).toBeGreaterThan(1000);
	});
});

describe("Intent: how far a dead shard came", () => {
	/** Every instruction at which the shard can die around one record, with what its successor must go on from. */
	const deaths = [
		{ at: "before the intent", steps: 0, position: 10 },
		{ at: "between intent and publication", steps: 1, position: 10 },
		{ at: "between publication and position", steps: 2, position: 11 },
		{ at: "between position and the end of the intent", steps: 3, position: 11 },
		{ at: "after all of it", steps: 4, position: 11 },
	];
	for (const { at, steps, position } of deaths)
		it(`${at}: goes on at ${position}`, () => {
			const [dead, successor] = tables(4);
			const row = dead.rowOf("t", 0);
			dead.startAt(row, 0, 0);
			dead.setDelivered(row, 1, 10);
			let tail = 500;
			const intent = dead.intent(1);
			const all = [
				() => intent.declare(row, 11, tail),
				() => {
					tail += 4;
				},
				() => dead.setDelivered(row, 1, 11),
				() => intent.done(),
			];
			for (const step of all.slice(0, steps)) step();
			successor.intent(1).settle(() => tail);
			expect(successor.position(row)).toBe(position);
			// Another successor, and the shard's own next life, which by now has published more, come to the same.
			tail += 100;
			dead.intent(1).settle(() => tail);
			expect(successor.position(row)).toBe(position);
		});
});
