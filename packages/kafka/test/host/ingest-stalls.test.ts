import { describe, expect, it } from "vitest";
import { Stalls, stallText } from "../../src/host/stalls.ts";
import type { PartitionCell } from "../../src/ingest-counters.ts";

const partition = (row: number) => ({ row, topic: "t", topicId: null, partition: row });

class Cells {
	readonly delivered = new Map<number, number>();
	readonly logEnd = new Map<number, number>();
	cell = (row: number, name: PartitionCell): number => (name === "delivered" ? this.delivered : this.logEnd).get(row) ?? 0;
}

describe("a partition that stands still", () => {
	it("is one of which records wait and none was delivered for ten seconds; not one that is read to its end, or that gets on", () => {
		const cells = new Cells();
		const stalls = new Stalls(cells);
		const all = [0, 1, 2, 3].map(partition);
		for (const [row, delivered, logEnd] of [
			[0, 10, 10],
			[1, 10, 110],
			[2, 10, 5010],
			[3, 10, 50],
		] as const) {
			cells.delivered.set(row, delivered);
			cells.logEnd.set(row, logEnd);
		}
		expect(stalls.look(all, 0)).toEqual([]);
		cells.delivered.set(3, 11);
		expect(stalls.look(all, 9_999)).toEqual([]);
		const found = stalls.look(all, 10_000);
		expect(found.map(({ partition: number, lagRecords }) => [number, lagRecords])).toEqual([
			[2, 5000],
			[1, 100],
		]);
		const text = "topic t partition 2 is 5000 records behind in group g-0, none delivered for 10 s, 1 more like it; ";
		expect(stallText(found, "g-0", false)).toBe(`${text}see the log for its last error`);
		expect(stallText(found, "g-0", true)).toBe(`${text}reading pauses while a guard acts (guards.ingest_cpu, guards.ingest_memory)`);
		// One gets on, the other is another shard's by now.
		cells.delivered.set(2, 11);
		expect(stalls.look([partition(2)], 11_000)).toEqual([]);
		expect(stalls.look(all, 20_000).map(({ partition: number }) => number)).toEqual([]);
	});
});
