import { describe, expect, it } from "vitest";
import { PositionLayout } from "../src/ingest/positions/position-descriptor.ts";
import { positionsInMemory } from "../src/ingest/positions/position-file.ts";
import { ownerOf, PositionTable, slotOfOwner } from "../src/ingest/positions/position-table.ts";

const key = (topic: string, partition: number, topicId: string | null = null) => ({ topic, topicId, partition });
const idOf = (byte: number) => Buffer.alloc(16, byte).toString("base64url");

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
				const row = (partition % 2 === 0 ? one : two).rowOf(key(topic, partition), 0);
				rows.add(row);
				expect(two.rowOf(key(topic, partition), 0)).toBe(row);
				expect([one.topic(row), one.partition(row)]).toEqual([topic, partition]);
			}
		expect(rows.size).toBe(40);
		expect(one.rowOf(key("one more", 0), 0)).toBe(-1);
		expect(one.rowOf(key("a", 3), 0)).toBeGreaterThanOrEqual(0);
	});

	it("gives a topic that was made anew rows of its own, and keeps those of the one before apart", () => {
		const [one, two] = tables(8);
		const before = one.rowOf(key("t", 0, idOf(1)), 0);
		one.startAt(before, 0, 0);
		one.setDelivered(before, 0, 500);
		const after = two.rowOf(key("t", 0, idOf(2)), 0);
		expect(after).not.toBe(before);
		expect(two.position(after)).toBeNull();
		expect([one.rowOf(key("t", 0, idOf(1)), 0), two.rowOf(key("t", 0, idOf(1)), 0)]).toEqual([before, before]);
		expect(one.position(before)).toBe(500);
		expect(one.knowsOther(key("t", 0, idOf(2)))).toBe(true);
		expect(one.knowsOther(key("t", 1, idOf(2)))).toBe(false);
	});

	it("keeps a row that was made before the brokers told ids: nothing is read twice when they begin to", () => {
		const [one] = tables(8);
		const row = one.rowOf(key("t", 0), 0);
		expect(one.rowOf(key("t", 0, idOf(1)), 0)).toBe(row);
		expect(one.knowsOther(key("t", 0, idOf(1)))).toBe(false);
	});

	it("when it is full, gives rows away that nobody has had use for, and forgets all that was in them", () => {
		const [one, two] = tables(4);
		const rows = [0, 1, 2, 3].map((partition) => one.rowOf(key("old", partition, idOf(1)), 0));
		for (const row of rows) one.startAt(row, 10, 0);
		one.setDelivered(rows[1]!, 7, 99);
		one.changeOwner(rows[1]!, 0, ownerOf(7, 1));
		one.intent(7).declare(rows[1]!, 100, 5);
		for (const row of [rows[0]!, rows[2]!, rows[3]!]) one.use(row, 50_000);
		expect(two.rowOf(key("new", 0, idOf(2)), 59_000)).toBe(-1);
		expect(two.rowOf(key("new", 0, idOf(2)), 61_000)).toBe(rows[1]);
		expect(one.rowOf(key("new", 0, idOf(2)), 61_000)).toBe(rows[1]);
		expect([two.topic(rows[1]!), two.position(rows[1]!), two.owner(rows[1]!)]).toEqual(["new", null, 0]);
		two.startAt(rows[1]!, 0, 0);
		two.intent(7).settle(() => 77);
		expect(two.position(rows[1]!)).toBe(0);
		expect(two.rowOf(key("new", 1, idOf(2)), 61_000)).toBe(-1);
	});

	it("settles a start once; the position is the highest that any shard has delivered", () => {
		const [one, two] = tables(4);
		const row = one.rowOf(key("t", 0), 0);
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
		const row = table.rowOf(key("t", 0), 0);
		table.startAt(row, 10, 1000);
		table.setDelivered(row, 0, 90);
		expect(table.positionSince(row, 999)).toBe(10);
		expect(table.positionSince(row, 1001)).toBe(90);
	});

	it("hands a partition from one owner to the next by comparing first", () => {
		const [one, two] = tables(4);
		const row = one.rowOf(key("t", 0), 0);
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
			const row = dead.rowOf(key("t", 0), 0);
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
