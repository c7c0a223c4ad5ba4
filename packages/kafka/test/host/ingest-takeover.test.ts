import { mkdtempSync, rmSync } from "node:fs";
import { createMemberFiles, releaseMember, SharedMemoryBus } from "@shardcast/bus";
import { ClusterDirectory, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { FlushEngine, FlushPolicy, type Scheduler } from "@shardcast/server";
import { createRecordHead, everybody, RecordKind, readRecordHead } from "@shardcast/wire";
import { describe, expect, it, onTestFinished } from "vitest";
import { Assignment } from "../../src/host/assignment/assignment.ts";
import { ScoreboardView } from "../../src/host/assignment/board-view.ts";
import { BusDestination } from "../../src/host/destination.ts";
import { IngestReader } from "../../src/host/ingest-reader.ts";
import { IngestMemory } from "../../src/ingest-memory.ts";
import type { ToWorker } from "../../src/ingest-messages.ts";
import { IngestMark } from "../../src/ingest-record.ts";
import { positionsInMemory } from "../../src/positions/position-file.ts";
import { RingFeed } from "../../src/worker/ring-feed.ts";
import { listOf } from "../support/topic-lists.ts";

/** Immediates and timers of one shard's loop, run when told. */
class Loop implements Scheduler {
	#ms = 0;
	#due: (() => void)[] = [];
	nowMs = (): number => this.#ms;
	soon = (callback: () => void): void => void this.#due.push(callback);
	later = (callback: () => void): void => void this.#due.push(callback);
	/** A few turns. */
	run(): void {
		for (let turn = 0; turn < 20; turn++) {
			this.#ms++;
			for (const callback of this.#due.splice(0)) callback();
		}
	}
}

/** Several shards in one process, over real rings, a real scoreboard and one position table. Kafka holds `logEnd` records of each partition. */
class TestShards {
	readonly base = mkdtempSync("/dev/shm/takeover-test-");
	readonly directory: ClusterDirectory;
	readonly board: Scoreboard;
	readonly table = positionsInMemory();
	logEnd = 0;

	constructor(slots: number) {
		this.directory = ClusterDirectory.create(this.base);
		this.board = Scoreboard.create(this.directory.boardPath, slots);
		for (let slot = 0; slot < slots; slot++) createMemberFiles(this.directory, this.board, slot, { capacityBytes: 65_536 });
	}

	start(slot: number): TestShard {
		this.board.row(slot).incarnation++;
		return new TestShard(this, slot);
	}

	/** Killed with -9, reaped, and known to be dead. */
	release(shard: TestShard): void {
		releaseMember(this.directory, this.board, shard.slot);
	}

	close(): void {
		this.board.close();
		rmSync(this.base, { recursive: true, force: true });
	}
}

class TestShard {
	readonly slot: number;
	readonly assignment: Assignment;
	/** `partition:offset` of what its clients got. */
	readonly delivered: string[] = [];
	readonly #shards: TestShards;
	readonly #link: SharedMemoryBus;
	readonly #feed: RingFeed;
	readonly #reader: IngestReader;
	readonly #loop = new Loop();
	readonly #engine: FlushEngine;
	readonly #read = new Map<number, { partition: number; next: number }>();
	/** Its engine runs. */
	reads = true;

	constructor(shards: TestShards, slot: number) {
		const { directory, board, table } = shards;
		const row = board.row(slot);
		this.slot = slot;
		this.#shards = shards;
		this.#link = SharedMemoryBus.join(directory, board, slot);
		const memory = IngestMemory.create(table.rowsMax, 65_536);
		this.#feed = new RingFeed(memory);
		const head = createRecordHead();
		const engine = new FlushEngine({
			bus: this.#link,
			policy: new FlushPolicy({ pauseMsMax: 0, pauseRatio: 1 }),
			counters: row,
			deliver: (_origin, u8, view, start, end) => {
				readRecordHead(view, start, end, head);
				this.delivered.push(Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString());
			},
			deliverAhead: () => false,
			urgentRecords: () => 0,
			deliverIngested: () => {},
			beforeTurn: () => {},
			afterTurn: () => {},
			hasPublished: () => true,
			afterFlush: () => {},
			holds: () => false,
			batch: 64,
			pacing: { turnBytesMax: 1e6, mustWait: () => false, published: () => {} },
			scheduler: this.#loop,
		});
		this.#reader = new IngestReader({
			memory,
			table,
			slot,
			destination: new BusDestination(
				this.#link,
				table.intent(slot),
				() => engine.committed(),
				() => {},
			),
			wake: () => engine.wake(),
			onRevoked: (each) => this.assignment.revoked(each),
			onReset: () => {},
		});
		const view = new ScoreboardView(directory, board);
		this.assignment = new Assignment({
			...{ mode: "shared", from: "latest", slot, incarnation: row.incarnation, table, memory, cluster: view },
			send: (message) => this.#receive(message),
			isNamed: () => true,
			onTableFull: () => expect.unreachable(),
			onTableHeld: () => expect.unreachable(),
		});
		row.state = ShardState.serving;
		engine.start();
		this.#engine = engine;
		onTestFinished(() => {
			this.#reader.stop();
			this.#link.close();
			view.close();
		});
	}

	/** What its worker would do, at once. */
	#receive(message: ToWorker): void {
		if (message.type === "resolve")
			this.assignment.resolved(message.partitions.map((partition) => ({ ...partition, offset: 0, epoch: -1 })));
		if (message.type === "assign")
			for (const { row, partition, offset } of message.partitions) this.#read.set(row, { partition, next: offset });
		if (message.type === "revoke")
			for (const row of message.rows) {
				this.#read.delete(row);
				this.#feed.mark(row, IngestMark.revoked, 0);
			}
	}

	/** One round: looks at who reads what, reads all there is, puts it on the bus; its engine takes from the bus. */
	turn(): void {
		this.assignment.reconcile();
		for (const [row, state] of this.#read)
			for (; state.next < this.#shards.logEnd; state.next++) {
				const payload = Buffer.from(`${state.partition}:${state.next}`);
				expect(this.#feed.write(row, state.next + 1, RecordKind.text, 0, 0, everybody, payload)).toBe(true);
			}
		this.#reader.read(1000, () => {});
		// As its doorbell would, which rings between two turns of the real loop.
		this.#engine.wake();
		if (this.reads) this.#loop.run();
	}
}

const partitions = 2;
const topics = listOf([{ topic: "t", topicId: null, partitions }]);
const all = (count: number) => Array.from({ length: count }, (_, offset) => offset);

/** The offsets of a partition in the order in which the shard's clients got them. */
const order = (shard: TestShard, partition: number) =>
	shard.delivered.filter((text) => text.startsWith(`${partition}:`)).map((text) => Number(text.split(":")[1]));

/** Three shards share two partitions; the third reads none, and has not read yet what the first and the second have put on the bus. */
function threeShards(): { shards: TestShards; all: [TestShard, TestShard, TestShard] } {
	const shards = new TestShards(3);
	onTestFinished(() => shards.close());
	const bySlot = [0, 1, 2].map((slot) => shards.start(slot));
	for (const shard of bySlot) shard.assignment.topicsFound(topics);
	for (const shard of bySlot) shard.turn();
	const count = ({ assignment }: TestShard) => assignment.assigned.length;
	const started = bySlot.toSorted((one, other) => count(other) - count(one)) as [TestShard, TestShard, TestShard];
	expect(started.map(count)).toEqual([1, 1, 0]);
	started[2].reads = false;
	shards.logEnd = 20;
	started[0].turn();
	started[1].turn();
	return { shards, all: started };
}

describe("the order of a partition when it changes hands", () => {
	it("a dead owner's last records come before its successor's first at every shard, however far that one is behind", () => {
		const { shards, all: started } = threeShards();
		const [first, second, third] = started;
		shards.release(first);
		shards.logEnd = 40;
		for (let round = 0; round < 5; round++) {
			second.turn();
			third.turn();
		}
		third.reads = true;
		for (let round = 0; round < 10; round++) {
			second.turn();
			third.turn();
		}
		for (const shard of [second, third])
			for (let partition = 0; partition < partitions; partition++) expect(order(shard, partition)).toEqual(all(40));
	});

	it("so do those of an owner that lives and gives the partition up", () => {
		const { shards, all: started } = threeShards();
		const [first, second, third] = started;
		// One member less: what belongs to whom changes, while the owner of before has records on the bus that the third has not read.
		shards.board.row(second.slot).state = ShardState.draining;
		shards.logEnd = 40;
		for (let round = 0; round < 5; round++) for (const shard of started) shard.turn();
		third.reads = true;
		for (let round = 0; round < 10; round++) for (const shard of started) shard.turn();
		expect(second.assignment.assigned).toEqual([]);
		for (const shard of [first, third])
			for (let partition = 0; partition < partitions; partition++) expect(order(shard, partition)).toEqual(all(40));
	});

	it("a shard that is dead as well is not waited for, nor is one that joined later", () => {
		const { shards, all: started } = threeShards();
		const [first, second, third] = started;
		shards.release(first);
		shards.logEnd = 40;
		// The third takes no partition any more, and has not yet read what the first has put on the bus.
		shards.board.row(third.slot).state = ShardState.draining;
		second.turn();
		second.turn();
		expect([second.assignment.assigned.length, second.assignment.waitsForReaders]).toEqual([1, true]);
		shards.release(third);
		for (let round = 0; round < 3; round++) second.turn();
		expect([second.assignment.assigned.length, second.assignment.waitsForReaders]).toEqual([2, false]);
		expect([order(second, 0), order(second, 1)]).toEqual([all(40), all(40)]);
	});

	it("the owner's own next life goes on at once: its records lie in the same ring, behind the others", () => {
		const { shards, all: started } = threeShards();
		const [first, , third] = started;
		shards.release(first);
		shards.logEnd = 40;
		const again = shards.start(first.slot);
		again.assignment.topicsFound(topics);
		again.turn();
		expect(again.assignment.assigned).toHaveLength(1);
		third.reads = true;
		for (let round = 0; round < 10; round++) for (const shard of [again, started[1], third]) shard.turn();
		for (let partition = 0; partition < partitions; partition++) expect(order(third, partition)).toEqual(all(40));
	});
});
