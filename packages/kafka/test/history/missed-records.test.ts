import { RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { HistoryRequest } from "../../src/history/history-messages.ts";
import { type HistoryFailure, MissedRecords, type RecordRange } from "../../src/history/missed-records.ts";
import { RecordPack } from "../../src/history/record-pack.ts";

const first = { row: 0, topic: "t", topicId: "id", partition: 0 };
const second = { ...first, row: 1, partition: 1 };

/** The shard's side, with a worker that answers when told: every channel has a record at each offset. */
class Rig {
	readonly requests: HistoryRequest[] = [];
	nowMs = 0;
	hasWorker = true;
	readonly missed: MissedRecords;

	constructor(more: { recordsMax?: number; readsMax?: number; bytesMax?: number } = {}) {
		this.missed = new MissedRecords({
			recordsMax: 1000,
			readsMax: 2,
			timeoutMs: 1000,
			bytesMax: 1 << 20,
			...more,
			send: (request) => {
				this.requests.push(request);
				return this.hasWorker;
			},
			now: () => this.nowMs,
		});
	}

	/** @param keeps the worker keeps no more records of a channel than this. */
	answer(request = this.requests.at(-1)!, keeps = Number.POSITIVE_INFINITY): void {
		const parts = request.channels.map(({ name, from }) => {
			const pack = new RecordPack();
			const kept = Math.max(from, request.to - keeps);
			for (let offset = kept; offset < request.to; offset++) pack.add(offset + 1, RecordKind.text, Buffer.from(`${name} ${offset}`));
			return { name, from: kept, count: pack.count, bytes: pack.take() };
		});
		this.missed.answer(request.id, parts, null);
	}
}

function shown(result: RecordRange | HistoryFailure): string {
	if (typeof result === "string") return result;
	const { from, to, records } = result;
	return `${from}-${to}: ${records.map(({ offset }) => offset).join()}`;
}

describe("what clients have missed of a partition", () => {
	it("is read once for all that come back together, whatever part each has missed", async () => {
		const rig = new Rig();
		const results = [rig.missed.get(first, "a", 5, 9), rig.missed.get(first, "a", 3, 9), rig.missed.get(first, "b", 6, 8)];
		// Those behind the first wait for its job, and are then read for together.
		expect(rig.requests).toHaveLength(1);
		rig.answer();
		expect(rig.requests).toHaveLength(2);
		expect(rig.requests[1]).toMatchObject({
			from: 3,
			to: 9,
			channels: [
				{ name: "a", from: 3 },
				{ name: "b", from: 6 },
			],
		});
		rig.answer();
		expect((await Promise.all(results)).map(shown)).toEqual(["5-9: 6,7,8,9", "3-9: 4,5,6,7,8,9", "6-9: 7,8,9"]);
		expect(shown(await rig.missed.get(first, "a", 4, 9))).toBe("3-9: 4,5,6,7,8,9");
		expect(rig.requests).toHaveLength(2);
	});

	it("is only read on where it ends", async () => {
		const rig = new Rig();
		const range = rig.missed.get(first, "a", 0, 3);
		rig.answer();
		const further = rig.missed.get(first, "a", 1, 6);
		expect(rig.requests.at(-1)).toMatchObject({ from: 3, to: 6, channels: [{ name: "a", from: 3 }] });
		rig.answer();
		expect(shown(await further)).toBe("0-6: 1,2,3,4,5,6");
		expect(await range).toBe(await further);
	});

	it("reads as many partitions at a time as it may, each by one job", () => {
		const rig = new Rig({ readsMax: 1 });
		void rig.missed.get(first, "a", 0, 3);
		void rig.missed.get(second, "a", 0, 3);
		void rig.missed.get(first, "b", 0, 3);
		expect(rig.requests.map(({ partition }) => partition.partition)).toEqual([0]);
		rig.answer();
		expect(rig.requests.map(({ partition }) => partition.partition)).toEqual([0, 1]);
		rig.answer();
		expect(rig.requests.map(({ partition }) => partition.partition)).toEqual([0, 1, 0]);
	});

	it("who has missed too much gets nothing; others that wait with it do", async () => {
		const rig = new Rig();
		void rig.missed.get(first, "z", 0, 1);
		const results = [rig.missed.get(first, "a", 0, 9), rig.missed.get(first, "a", 6, 9)];
		rig.answer();
		rig.answer(undefined, 4);
		expect((await Promise.all(results)).map(shown)).toEqual(["tooMany", "5-9: 6,7,8,9"]);
	});

	it("those that are far behind are read for after the others", () => {
		const rig = new Rig();
		void rig.missed.get(first, "z", 0, 1);
		void rig.missed.get(first, "a", 10, 5_000_000);
		void rig.missed.get(first, "a", 4_999_000, 5_000_000);
		rig.answer(undefined, 1);
		expect(rig.requests.at(-1)).toMatchObject({ from: 4_999_000 });
		rig.answer(undefined, 1);
		expect(rig.requests.at(-1)!.from).toBeLessThan(4_999_000);
	});

	it("keeps as much as it may, and for a while; the least recently used goes first", async () => {
		const rig = new Rig({ bytesMax: 2000 });
		for (const channel of ["a", "b", "c"]) {
			const range = rig.missed.get(first, channel, 0, 30);
			rig.answer();
			await range;
		}
		expect(rig.missed.bytes).toBeLessThanOrEqual(2000);
		expect(rig.missed.bytes).toBeGreaterThan(0);
		const reads = rig.requests.length;
		await rig.missed.get(first, "c", 0, 30);
		expect(rig.requests).toHaveLength(reads);
		void rig.missed.get(first, "a", 0, 30);
		expect(rig.requests).toHaveLength(reads + 1);
		rig.answer();
		rig.nowMs = 60_000;
		rig.missed.forgetUnused();
		expect(rig.missed.bytes).toBe(0);
	});

	it("is unavailable while there is no worker, or when it dies; what waits is read by the next", async () => {
		const rig = new Rig();
		rig.hasWorker = false;
		expect(await rig.missed.get(first, "a", 0, 3)).toBe("unavailable");
		rig.hasWorker = true;
		const [reading, waiting] = [rig.missed.get(first, "a", 0, 3), rig.missed.get(first, "b", 0, 3)];
		rig.missed.failReads();
		expect(await reading).toBe("unavailable");
		rig.answer();
		expect(shown(await waiting)).toBe("0-3: 1,2,3");
		// An answer that comes too late is nobody's.
		rig.answer(rig.requests[1]);
		const failed = rig.missed.get(first, "c", 0, 3);
		rig.missed.answer(rig.requests.at(-1)!.id, [], "gone");
		expect(await failed).toBe("gone");
	});
});

describe("a pack of records", () => {
	it("gives back what was put in, and forgets the older half when told", () => {
		const pack = new RecordPack();
		for (let offset = 1; offset <= 1000; offset++) pack.add(offset, RecordKind.binary, Buffer.alloc(offset % 50, offset));
		expect(pack.dropHalf()).toBe(500);
		pack.add(1001, RecordKind.text, Buffer.from("last"));
		const records = RecordPack.read(pack.take(), pack.count);
		expect(records.map(({ offset }) => offset)).toEqual(Array.from({ length: 501 }, (_, index) => index + 501));
		for (const { offset, data, kind } of records.slice(0, -1)) {
			expect([...data]).toEqual([...Buffer.alloc(offset % 50, offset)]);
			expect(kind).toBe(RecordKind.binary);
		}
		expect(Buffer.from(records.at(-1)!.data).toString()).toBe("last");
	});
});
