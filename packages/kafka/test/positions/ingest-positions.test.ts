import { packVersion } from "@shardcast/wire";
import { afterEach, describe, expect, it, vi } from "vitest";
import { PositionLayout, RowState, TableWord } from "../../src/positions/position-descriptor.ts";
import { positionsInMemory } from "../../src/positions/position-file.ts";
import type { PositionRows } from "../../src/positions/position-rows.ts";
import { type Claimant, incarnationOfOwner, ownerOf, PositionTable, slotOfOwner } from "../../src/positions/position-table.ts";

const key = (topic: string, partition: number, topicId: string | null = null) => ({ topic, topicId, partition });
const shardOf = (slot: number, gone: readonly number[] = []): Claimant => ({
	self: ownerOf(slot, 1),
	isGone: (owner) => gone.includes(owner),
});
/** Changes rows as a shard does, where nobody else is at it. */
function change<T extends object | boolean | number>(table: PositionTable, how: (rows: PositionRows) => T, slot = 0): T {
	const changed = table.claimed(shardOf(slot), how);
	if (changed === null) throw new Error("the table is claimed");
	return changed;
}
const rowOf = (table: PositionTable, of: ReturnType<typeof key>, nowMs = 0, slot = 0) =>
	change(table, (rows) => rows.rowOf(of, slot, nowMs), slot);
const startAt = (table: PositionTable, row: number, offset: number, nowMs = 0) =>
	change(table, (rows) => {
		rows.startAt(row, offset, nowMs);
		return true;
	});
const knowsOther = (table: PositionTable, of: ReturnType<typeof key>) => change(table, (rows) => rows.knowsOther(of));
const idOf = (byte: number) => Buffer.alloc(16, byte).toString("base64url");

function tables(rowsMax: number): [PositionTable, PositionTable] {
	const buffer = new SharedArrayBuffer(PositionTable.bytes(rowsMax));
	PositionTable.format(buffer, rowsMax);
	return [new PositionTable(buffer), new PositionTable(buffer)];
}

afterEach(() => {
	vi.restoreAllMocks();
});

describe("PositionTable", () => {
	it("gives each partition one row, the same in all processes, until it is full", () => {
		const [one, two] = tables(40);
		const rows = new Set<number>();
		for (const topic of ["a", "b", "topic.with-a_long.name", "x".repeat(PositionLayout.topicBytesMax)])
			for (let partition = 0; partition < 10; partition++) {
				const row = rowOf(partition % 2 === 0 ? one : two, key(topic, partition));
				rows.add(row);
				expect(rowOf(two, key(topic, partition))).toBe(row);
				expect([one.topic(row), one.partition(row)]).toEqual([topic, partition]);
			}
		expect(rows.size).toBe(40);
		expect(rowOf(one, key("one more", 0))).toBe(-1);
		expect(rowOf(one, key("a", 3))).toBeGreaterThanOrEqual(0);
	});

	it("has one writer of dead letters, until that shard's life is certainly over", () => {
		const [one, two] = tables(1);
		expect([one.claimDeadLetters(shardOf(0)), two.claimDeadLetters(shardOf(1)), one.claimDeadLetters(shardOf(0))]).toEqual([
			true,
			false,
			true,
		]);
		expect([two.claimDeadLetters(shardOf(1, [ownerOf(0, 1)])), one.claimDeadLetters(shardOf(0)), two.claimDeadLetters(shardOf(1))]).toEqual(
			[true, false, true],
		);
		// Its own next life is another shard.
		const next = { self: ownerOf(1, 2), isGone: (owner: number) => owner === ownerOf(1, 1) };
		expect([two.claimDeadLetters({ ...next, isGone: () => false }), two.claimDeadLetters(next)]).toEqual([false, true]);
	});

	it("gives a topic that was recreated separate rows, and keeps those of the one before apart", () => {
		const [one, two] = tables(8);
		const before = rowOf(one, key("t", 0, idOf(1)));
		startAt(one, before, 0);
		one.setDelivered(before, 0, 500);
		const after = rowOf(two, key("t", 0, idOf(2)));
		expect(after).not.toBe(before);
		expect(two.position(after)).toBeNull();
		expect([rowOf(one, key("t", 0, idOf(1))), rowOf(two, key("t", 0, idOf(1)))]).toEqual([before, before]);
		expect(one.position(before)).toBe(500);
		expect(knowsOther(one, key("t", 0, idOf(2)))).toBe(true);
		expect(knowsOther(one, key("t", 1, idOf(2)))).toBe(false);
	});

	it("keeps a row that was made before the brokers told ids: nothing is read twice when they begin to", () => {
		const [one] = tables(8);
		const row = rowOf(one, key("t", 0));
		expect(rowOf(one, key("t", 0, idOf(1)))).toBe(row);
		expect(knowsOther(one, key("t", 0, idOf(1)))).toBe(false);
	});

	it("when it is full, gives rows away that no shard holds and none had use for lately, and forgets all that was in them", () => {
		const [one, two] = tables(4);
		const held = 40;
		const rows = [0, 1, 2, 3].map((partition) => rowOf(one, key("old", partition, idOf(1)), 0, held));
		for (const row of rows) startAt(one, row, 10);
		one.setDelivered(rows[1]!, 7, 99);
		one.changeOwner(rows[1]!, 0, ownerOf(7, 1));
		// However long a shard is silent: it may be paused, and writes into its rows when it goes on.
		expect(rowOf(two, key("new", 0, idOf(2)), 9_000_000)).toBe(-1);
		for (const row of rows) one.drop(row, held);
		for (const row of [rows[0]!, rows[2]!, rows[3]!]) one.use(row, 50_000);
		expect(rowOf(two, key("new", 0, idOf(2)), 59_000)).toBe(-1);
		expect(rowOf(two, key("new", 0, idOf(2)), 61_000)).toBe(rows[1]);
		expect(rowOf(one, key("new", 0, idOf(2)), 61_000)).toBe(rows[1]);
		expect([two.topic(rows[1]!), two.position(rows[1]!), two.owner(rows[1]!)]).toEqual(["new", null, 0]);
		startAt(two, rows[1]!, 0);
		expect(two.position(rows[1]!)).toBe(0);
		expect(rowOf(two, key("new", 1, idOf(2)), 61_000)).toBe(-1);
	});

	it("what a dead shard held is free once its next life has begun", () => {
		const [one] = tables(1);
		const row = rowOf(one, key("old", 0), 0, 63);
		expect(rowOf(one, key("new", 0), 61_000)).toBe(-1);
		change(one, (rows) => {
			rows.forgetUser(63);
			return true;
		});
		expect(rowOf(one, key("new", 0), 61_000)).toBe(row);
	});

	it("is changed by one shard at a time; others are told so at once, whatever the time, and take over only from the dead", () => {
		const [one, two] = tables(4);
		let row = -1;
		change(one, (rows) => {
			row = rows.rowOf(key("t", 0), 0, 0);
			// While the first is at it, however long that takes.
			for (let attempt = 0; attempt < 3; attempt++) expect(two.claimed(shardOf(1), () => expect.unreachable())).toBeNull();
			expect(slotOfOwner(two.claimedBy)).toBe(0);
			return true;
		});
		expect([two.claimedBy, rowOf(two, key("t", 0), 0, 1)]).toEqual([0, row]);
		expect(() => change(one, () => change(one, () => true))).toThrow(/already claimed/);
		expect(() =>
			change(one, () => {
				throw new Error("on purpose");
			}),
		).toThrow("on purpose");
		expect(one.claimedBy).toBe(0);
	});

	it("a shard that died while it wrote a row leaves the table usable: its successor takes the claim over and uses that row", () => {
		const [dead, two] = tables(2);
		const kept = rowOf(dead, key("kept", 0));
		const killed = (words: Int32Array, at: number, value: number): number => {
			// The store that ends the writing never comes, and neither does anything after it, the release included.
			if (value === RowState.named) {
				vi.spyOn(Atomics, "compareExchange").mockReturnValue(0 as never);
				throw new Error("killed");
			}
			words[at] = value;
			return value;
		};
		vi.spyOn(Atomics, "store").mockImplementation(killed as typeof Atomics.store);
		expect(() => rowOf(dead, key("half", 0))).toThrow("killed");
		vi.restoreAllMocks();
		expect(two.claimedBy).toBe(ownerOf(0, 1));
		expect(two.claimed(shardOf(1), () => true)).toBeNull();
		const made = two.claimed(shardOf(1, [ownerOf(0, 1)]), (rows) => [rows.rowOf(key("other", 0), 1, 0), rows.rowOf(key("kept", 0), 1, 0)]);
		expect(made).toEqual([1 - kept, kept]);
		expect([two.topic(1 - kept), two.claimedBy]).toEqual(["other", 0]);
	});

	it("settles a start once; the position is the highest that any shard has delivered", () => {
		const [one, two] = tables(4);
		const row = rowOf(one, key("t", 0));
		expect(one.position(row)).toBeNull();
		startAt(one, row, 100, 1000);
		startAt(two, row, 7, 2000);
		expect(two.position(row)).toBe(100);
		one.setDelivered(row, 3, 150);
		two.setDelivered(row, 5, 140);
		expect(two.position(row)).toBe(150);
		one.restartAt(row, 2);
		expect(two.position(row)).toBe(2);
	});

	it("lets a shard that was there before the partition begin at its start, one that came later where the others are", () => {
		const [table] = tables(4);
		const row = rowOf(table, key("t", 0));
		startAt(table, row, 10, 1000);
		table.setDelivered(row, 0, 90);
		expect(table.positionSince(row, 999)).toBe(10);
		expect(table.positionSince(row, 1001)).toBe(90);
	});

	it("hands a partition from one owner to the next by comparing first", () => {
		const [one, two] = tables(4);
		const row = rowOf(one, key("t", 0));
		const first = ownerOf(63, 1);
		const second = ownerOf(0, 250);
		expect([slotOfOwner(first), slotOfOwner(second)]).toEqual([63, 0]);
		expect([incarnationOfOwner(first), incarnationOfOwner(second)]).toEqual([1, 250]);
		expect(one.changeOwner(row, 0, first)).toBe(true);
		expect(two.changeOwner(row, 0, second)).toBe(false);
		expect(two.changeOwner(row, first, second)).toBe(true);
		expect(one.owner(row)).toBe(second);
	});

	it("refuses memory of another version", () => {
		expect(() => new PositionTable(new ArrayBuffer(PositionTable.bytes(1)))).toThrow("this is not a position table");
		const buffer = new ArrayBuffer(PositionTable.bytes(1));
		PositionTable.format(buffer, 1);
		new Int32Array(buffer)[TableWord.version] = packVersion({ major: 3, minor: 2 });
		expect(() => new PositionTable(buffer)).toThrow("has layout version 3.2, and this program uses 4.x");
		expect(positionsInMemory().rowsMax).toBeGreaterThan(1000);
	});
});

describe("a table of a newer minor version", () => {
	it("is used where its header says, by every writer and reader", () => {
		const [rowBytes, delivered, rowsOffset] = [2048, 1024, 16_384];
		const buffer = new SharedArrayBuffer(rowsOffset + 4 * rowBytes);
		PositionTable.format(buffer, 4);
		const words = new Int32Array(buffer);
		words[TableWord.version] = packVersion({ ...PositionLayout.version, minor: 9 });
		words.set([rowsOffset, rowBytes, delivered], TableWord.described + 2);
		const [one, two] = [new PositionTable(buffer), new PositionTable(buffer)];
		const row = rowOf(one, key("moved", 3));
		one.setDelivered(row, 63, 17);
		expect([two.topic(row), two.partition(row), two.delivered(row, 63)]).toEqual(["moved", 3, 17]);
		expect(new Float64Array(buffer)[(rowsOffset + row * rowBytes + delivered) / 8 + 63]).toBe(17);
		one.intent(5).declare(row, 33, 0);
		two.intent(5).settle(() => 8, 1);
		expect(one.delivered(row, 1)).toBe(33);
	});

	it("is refused when its header can't be right", () => {
		for (const [word, value] of [
			[0, 4],
			[2, 64],
			[3, 256],
			[4, 1000],
			[3, 2 ** 25],
		] as const) {
			const buffer = new ArrayBuffer(PositionTable.bytes(2));
			PositionTable.format(buffer, 2);
			new Int32Array(buffer)[TableWord.described + word] = value;
			expect(() => new PositionTable(buffer), `${word}: ${value}`).toThrow(/describes an impossible layout|not enough for 2 rows/);
		}
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
			const row = rowOf(dead, key("t", 0));
			startAt(dead, row, 0);
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
			const before = successor.delivered(row, 1);
			successor.intent(1).settle(() => tail, 5);
			expect(successor.position(row)).toBe(position);
			// Into its own cell: a successor that is paused in the middle overwrites nothing of the slot's next life.
			expect(successor.delivered(row, 1)).toBe(before);
			// Another successor, and the shard's own next life, which by now has published more, come to the same.
			tail += 100;
			dead.intent(1).settle(() => tail, 5);
			expect(successor.position(row)).toBe(position);
		});

	it("settling between the beginning and the end of a living shard's record leaves the next one as under way as any", () => {
		const [living, settler] = tables(4);
		const row = rowOf(living, key("t", 0));
		startAt(living, row, 0);
		const intent = living.intent(1);
		intent.declare(row, 1, 100);
		settler.intent(1).settle(() => 100, 5);
		intent.done();
		// From here on an even number would mean "under way", and a death at this point would have the record delivered twice.
		intent.declare(row, 2, 100);
		settler.intent(1).settle(() => 104, 5);
		expect(settler.position(row)).toBe(2);
	});
});
