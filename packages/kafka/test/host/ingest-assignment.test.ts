import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Assignment } from "../../src/host/assignment/assignment.ts";
import type { ClusterView } from "../../src/host/assignment/cluster-view.ts";
import { IngestMemory } from "../../src/ingest-memory.ts";
import type { ToWorker } from "../../src/ingest-messages.ts";
import type { KafkaMode } from "../../src/ingest-options.ts";
import { positionsInMemory } from "../../src/positions/position-file.ts";
import { ownerOf, type PositionTable } from "../../src/positions/position-table.ts";
import type { StartRule } from "../../src/source.ts";
import { listOf } from "../support/topic-lists.ts";

/** Shards in one process, over one table; `alive` is what the scoreboard would say. */
class FakeCluster implements ClusterView {
	readonly table: PositionTable = positionsInMemory();
	readonly alive = new Map<number, number>();
	readonly shards = new Map<number, FakeShard>();
	/** When the first record of all partitions was produced. */
	firstRecordMs = 0;

	members(): readonly number[] {
		return [...this.alive.keys()].toSorted((a, b) => a - b);
	}
	isGone(slot: number, incarnation: number): boolean {
		return this.alive.get(slot) !== incarnation;
	}
	ringTail(): number {
		return 0;
	}
	hasBeenRead(): boolean {
		return true;
	}

	start(slot: number, incarnation: number, mode: KafkaMode): FakeShard {
		this.alive.set(slot, incarnation);
		const shard = new FakeShard(this, slot, incarnation, mode);
		this.shards.set(slot, shard);
		return shard;
	}
	kill(slot: number): void {
		this.alive.delete(slot);
		this.shards.delete(slot);
	}
	/** The row of a partition, as a shard without a part in all this finds it. */
	row(key: { topic: string; topicId: string; partition: number }): number {
		return this.table.claimed({ self: ownerOf(63, 1), isGone: () => false }, (rows) => rows.rowOf(key, 63, 0))!;
	}
	/** Lets every shard look until nothing changes. */
	settle(): void {
		for (let round = 0; round < 5; round++) for (const shard of this.shards.values()) shard.assignment.reconcile();
	}
	/** The reader of each row. */
	readers(): Map<number, number[]> {
		const readers = new Map<number, number[]>();
		for (const [slot, shard] of this.shards)
			for (const { row } of shard.assignment.assigned) readers.set(row, [...(readers.get(row) ?? []), slot]);
		return readers;
	}
}

class FakeShard {
	readonly assignment: Assignment;
	readonly memory: IngestMemory;
	readonly assigned = new Map<number, number>();
	/** Rows that it was told to give up. */
	readonly told: number[] = [];
	/** Answers revokes with the mark at once; a slow worker does not. */
	slow = false;
	/** Shards that it complained of for holding the table. */
	readonly heldBy: number[] = [];
	/** The broker cannot be asked where to begin. */
	unanswered = false;

	constructor(cluster: FakeCluster, slot: number, incarnation: number, mode: KafkaMode) {
		this.memory = IngestMemory.create(cluster.table.rowsMax, 1024);
		const send = (message: ToWorker): void => {
			if (message.type === "resolve" && !this.unanswered) {
				const isFirst = ({ from, newIfSinceMs }: StartRule) =>
					from === "earliest" || (newIfSinceMs !== null && cluster.firstRecordMs >= newIfSinceMs);
				const resolved = message.partitions.map((partition) => ({ ...partition, offset: isFirst(partition) ? 0 : 100, epoch: -1 }));
				this.assignment.resolved(resolved);
			} else if (message.type === "assign") for (const { row, offset } of message.partitions) this.assigned.set(row, offset);
			else if (message.type === "revoke") {
				this.told.push(...message.rows);
				if (!this.slow) for (const row of message.rows) this.assignment.revoked(row);
			}
		};
		const { table } = cluster;
		const { memory } = this;
		this.assignment = new Assignment({
			...{ mode, from: "latest", slot, incarnation, table, memory, cluster, send },
			isNamed: (name) => !name.startsWith("matched"),
			onTableFull: () => expect.unreachable(),
			onTableHeld: (holder) => this.heldBy.push(holder),
		});
	}
}

const idOf = (byte: number) => Buffer.alloc(16, byte).toString("base64url");
const topic = (partitions: number, made = 1) => listOf([{ topic: "t", topicId: idOf(made), partitions }]);

describe("Assignment", () => {
	it("per-shard: every shard reads everything; one that comes back joins where its siblings are", () => {
		const cluster = new FakeCluster();
		const shards = [cluster.start(0, 1, "per-shard"), cluster.start(1, 1, "per-shard")];
		for (const shard of shards) shard.assignment.topicsFound(topic(3));
		cluster.settle();
		expect([...cluster.readers().values()]).toEqual([
			[0, 1],
			[0, 1],
			[0, 1],
		]);
		for (const shard of shards) expect([...shard.assigned.values()]).toEqual([100, 100, 100]);
		const row = cluster.row({ topic: "t", topicId: idOf(1), partition: 0 });
		cluster.table.setDelivered(row, 0, 250);
		cluster.kill(1);
		const back = cluster.start(1, 2, "per-shard");
		back.assignment.topicsFound(topic(3));
		expect(back.assigned.get(row)).toBe(250);
	});

	it("partitions that come later begin at their first record, those of the start where the policy says", () => {
		const cluster = new FakeCluster();
		const shard = cluster.start(0, 1, "per-shard");
		shard.assignment.topicsFound(topic(1));
		cluster.settle();
		shard.assignment.topicsFound(topic(2));
		expect([...shard.assigned.values()]).toEqual([100, 0]);
	});

	it("a restarted worker goes on where this shard is, not where its siblings are", () => {
		const cluster = new FakeCluster();
		const shard = cluster.start(0, 1, "per-shard");
		shard.assignment.topicsFound(topic(1));
		const row = cluster.row({ topic: "t", topicId: idOf(1), partition: 0 });
		shard.memory.setCell(row, "delivered", 120);
		cluster.table.setDelivered(row, 5, 500);
		shard.assignment.forgetWorker();
		shard.assigned.clear();
		shard.assignment.topicsFound(topic(1));
		expect(shard.assigned.get(row)).toBe(120);
	});

	it("shared: one reader per partition, evenly, through comings and goings", () => {
		const cluster = new FakeCluster();
		const join = (slot: number, incarnation: number) => cluster.start(slot, incarnation, "shared").assignment.topicsFound(topic(12));
		const check = (members: number) => {
			cluster.settle();
			const readers = cluster.readers();
			expect(readers.size).toBe(12);
			for (const slots of readers.values()) expect(slots.length).toBe(1);
			for (const shard of cluster.shards.values()) expect(shard.assignment.assigned.length).toBe(12 / members);
		};
		join(0, 1);
		check(1);
		join(1, 1);
		join(2, 1);
		check(3);
		cluster.kill(1);
		check(2);
		join(1, 2);
		check(3);
		join(3, 1);
		check(4);
	});

	it("shared: when a shard goes, hardly any partitions of the others change hands, and when it is back all are as before", () => {
		const cluster = new FakeCluster();
		const join = (slot: number, incarnation: number) => cluster.start(slot, incarnation, "shared").assignment.topicsFound(topic(24));
		for (let slot = 0; slot < 4; slot++) join(slot, 1);
		cluster.settle();
		const before = cluster.readers();
		cluster.kill(2);
		cluster.settle();
		const moved = [...before].filter(([row, [slot]]) => slot !== 2 && cluster.readers().get(row)![0] !== slot);
		expect(moved.length).toBeLessThanOrEqual(6);
		join(2, 2);
		cluster.settle();
		expect(cluster.readers()).toEqual(before);
	});

	it("shared: nobody takes a partition while its owner still has records of it under way, however long that takes", () => {
		const cluster = new FakeCluster();
		const first = cluster.start(0, 1, "shared");
		first.assignment.topicsFound(topic(2));
		first.slow = true;
		cluster.start(1, 1, "shared").assignment.topicsFound(topic(2));
		cluster.settle();
		// It was told what to give up, and still has records of it: nobody else reads it.
		expect(first.told).toHaveLength(1);
		expect([...cluster.readers().values()]).toEqual([[0], [0]]);
		// The last of its records is out: now, and from there, the other goes on.
		for (const row of first.told) {
			cluster.table.setDelivered(row, 0, 777);
			first.assignment.revoked(row);
		}
		cluster.settle();
		expect([...cluster.shards.get(1)!.assigned]).toEqual(first.told.map((row) => [row, 777]));
	});

	it("shared: what is new to all begins at its start even for a shard that hears of it late", () => {
		const cluster = new FakeCluster();
		const shards = [cluster.start(0, 1, "shared"), cluster.start(1, 1, "shared")];
		for (const shard of shards) shard.assignment.topicsFound(topic(2));
		cluster.settle();
		for (const shard of shards) shard.assignment.topicsFound(topic(4));
		cluster.settle();
		// Which rows change hands meanwhile depends on their numbers.
		const starts = shards.flatMap(({ assignment, assigned }) => assignment.assigned.map(({ row }) => assigned.get(row)!));
		expect(starts.toSorted((a, b) => a - b)).toEqual([0, 0, 100, 100]);
	});

	for (const mode of ["per-shard", "shared"] as const)
		it(`${mode}: a topic that was recreated begins at its first record, whatever the old one's position and whoever has heard of it`, () => {
			const cluster = new FakeCluster();
			const shards = [cluster.start(0, 1, mode), cluster.start(1, 1, mode)];
			for (const shard of shards) shard.assignment.topicsFound(topic(2));
			cluster.settle();
			const old = cluster.row({ topic: "t", topicId: idOf(1), partition: 0 });
			for (const shard of shards) shard.assigned.clear();
			cluster.table.setDelivered(old, 0, 5000);
			// One has heard, the other still reads what is left of the old one.
			shards[0]!.assignment.topicsFound(topic(2, 2));
			cluster.table.setDelivered(old, 1, 6000);
			cluster.settle();
			shards[1]!.assignment.topicsFound(topic(2, 2));
			cluster.settle();
			const starts = shards.flatMap((shard) => [...shard.assigned.values()]);
			expect(starts).toEqual(mode === "shared" ? [0, 0] : [0, 0, 0, 0]);
			expect(shards.flatMap((shard) => shard.told)).toContain(old);
			// A shard that comes back joins where its siblings are in the new one.
			const made = cluster.row({ topic: "t", topicId: idOf(2), partition: 0 });
			cluster.table.setDelivered(made, 0, 7);
			cluster.kill(1);
			const back = cluster.start(1, 2, mode);
			back.assignment.topicsFound(topic(2, 2));
			cluster.settle();
			if (mode === "per-shard") expect(back.assigned.get(made)).toBe(7);
			for (const offset of back.assigned.values()) expect(offset).toBeLessThan(10);
		});

	it("shared: a partition whose reader's worker died goes to whoever is to have it by then", () => {
		const cluster = new FakeCluster();
		const first = cluster.start(0, 1, "shared");
		first.assignment.topicsFound(topic(2));
		cluster.settle();
		first.assignment.forgetWorker();
		cluster.start(1, 1, "shared").assignment.topicsFound(topic(2));
		first.assignment.topicsFound(topic(2));
		cluster.settle();
		expect([...cluster.readers().values()].flat().toSorted()).toEqual([0, 1]);
	});

	it("a topic that was deleted before its start was found keeps no later one from being read from its first record", () => {
		const cluster = new FakeCluster();
		const shard = cluster.start(0, 1, "per-shard");
		shard.unanswered = true;
		shard.assignment.topicsFound(topic(1));
		shard.unanswered = false;
		shard.assignment.topicsFound(listOf([]));
		shard.assignment.reconcile();
		shard.assignment.topicsFound(listOf([{ topic: "later", topicId: idOf(3), partitions: 1 }]));
		expect([...shard.assigned.values()]).toEqual([0]);
	});

	it("a shard that is stopped in the middle of changing the table holds up new partitions only, and nobody takes the table from it while it lives", () => {
		vi.useFakeTimers();
		onTestFinished(() => void vi.useRealTimers());
		const cluster = new FakeCluster();
		const shard = cluster.start(0, 1, "per-shard");
		shard.assignment.topicsFound(topic(1));
		cluster.start(1, 4, "per-shard");
		const holder = { self: ownerOf(1, 4), isGone: () => false };
		const looks = 20;
		cluster.table.claimed(holder, () => {
			shard.assignment.topicsFound(topic(2));
			for (let look = 1; look < looks; look++) {
				vi.advanceTimersByTime(100);
				shard.assignment.reconcile();
			}
			expect([shard.assignment.settled, shard.assigned.size, shard.memory.host.get("tableBusy")]).toEqual([false, 1, looks]);
			expect(shard.heldBy).toEqual([1]);
			// Its process is reaped: what it had claimed is free now, and not before.
			cluster.kill(1);
			shard.assignment.reconcile();
			expect([shard.assignment.settled, [...shard.assigned.values()]]).toEqual([true, [100, 0]]);
			return true;
		});
		// The dead one's release, if it came at all, would change nothing.
		expect(cluster.table.claimedBy).toBe(0);
	});

	it("where to begin is written down late, but not lost, when another shard is at the table", () => {
		const cluster = new FakeCluster();
		const shard = cluster.start(0, 1, "per-shard");
		shard.unanswered = true;
		shard.assignment.topicsFound(topic(1));
		const [partition] = shard.assignment.known;
		cluster.start(1, 1, "per-shard");
		cluster.table.claimed({ self: ownerOf(1, 1), isGone: () => false }, () => {
			shard.assignment.resolved([{ ...partition!, offset: 42, epoch: 3 }]);
			return true;
		});
		expect(shard.assigned.size).toBe(0);
		shard.assignment.reconcile();
		expect([...shard.assigned.values()]).toEqual([42]);
		// Whoever goes on from there knows who wrote what lies before, until the log is found to be another.
		const { row } = partition!;
		expect([41, 42, 50].map((position) => cluster.table.epochAt(row, position))).toEqual([-1, 3, 3]);
		shard.assignment.epochFound(row, 5, 60);
		shard.assignment.epochFound(row, 4, 55);
		shard.assignment.reconcile();
		shard.assignment.epochFound(row, 5, 70);
		shard.assignment.reconcile();
		expect([59, 60].map((position) => cluster.table.epochAt(row, position))).toEqual([-1, 5]);
		cluster.table.restartAt(row, 50);
		expect(cluster.table.epochAt(row, 60)).toBe(-1);
	});

	describe("a topic that appears while the cluster runs", () => {
		const old = listOf([{ topic: "t", topicId: idOf(1), partitions: 1 }]);
		const withTopic = (name: string, partitions: number, made = 2, more = {}) =>
			listOf([...old.topics, { topic: name, topicId: idOf(made), partitions }], more);
		const startsOf = (shard: FakeShard, cluster: FakeCluster, name: string, made = 2) =>
			[0, 1, 2].flatMap((partition) => shard.assigned.get(cluster.row({ topic: name, topicId: idOf(made), partition })) ?? []);

		it("was missing: all of it is new", () => {
			const cluster = new FakeCluster();
			const shard = cluster.start(0, 1, "per-shard");
			shard.assignment.topicsFound({ ...old, missing: ["named"] });
			shard.assignment.topicsFound(withTopic("named", 2));
			expect(startsOf(shard, cluster, "named")).toEqual([0, 0]);
		});

		it("was denied: it begins where the policy says, also for a shard that starts later; partitions that are added then are new", () => {
			const cluster = new FakeCluster();
			const first = cluster.start(0, 1, "per-shard");
			first.assignment.topicsFound({ ...old, denied: ["hidden"] });
			// Its own first look shows the topic; that it had been denied it can only know from the table.
			const second = cluster.start(1, 1, "per-shard");
			second.assignment.topicsFound(withTopic("hidden", 2));
			first.assignment.topicsFound(withTopic("hidden", 2));
			for (const shard of [first, second]) expect(startsOf(shard, cluster, "hidden")).toEqual([100, 100]);
			for (const shard of [second, first]) shard.assignment.topicsFound(withTopic("hidden", 3));
			for (const shard of [first, second]) expect(startsOf(shard, cluster, "hidden")).toEqual([100, 100, 0]);
		});

		it("was denied and then missing: it is new after all", () => {
			const cluster = new FakeCluster();
			const shard = cluster.start(0, 1, "per-shard");
			shard.assignment.topicsFound({ ...old, denied: ["hidden"] });
			shard.assignment.topicsFound({ ...old, missing: ["hidden"] });
			shard.assignment.topicsFound(withTopic("hidden", 2));
			expect(startsOf(shard, cluster, "hidden")).toEqual([0, 0]);
		});

		it("was read, denied, and is allowed again: it goes on where it was; one of its name that was created meanwhile is no news to replay", () => {
			const cluster = new FakeCluster();
			const shard = cluster.start(0, 1, "per-shard");
			shard.assignment.topicsFound(withTopic("named", 1));
			const row = cluster.row({ topic: "named", topicId: idOf(2), partition: 0 });
			cluster.table.setDelivered(row, 0, 130);
			shard.memory.setCell(row, "delivered", 130);
			shard.assignment.topicsFound({ ...old, denied: ["named"] });
			shard.assignment.topicsFound(withTopic("named", 1));
			expect(startsOf(shard, cluster, "named")).toEqual([130]);
			shard.assignment.topicsFound({ ...old, denied: ["named"] });
			shard.assignment.topicsFound(withTopic("named", 1, 3));
			expect(startsOf(shard, cluster, "named", 3)).toEqual([100]);
		});

		it("under a pattern: it is new if its first record is not older than the last look without it, less a minute", () => {
			const lookedMs = 1_000_000;
			for (const [firstRecordMs, start] of [
				[lookedMs - 59_000, 0],
				[lookedMs - 61_000, 100],
			] as const) {
				const cluster = new FakeCluster();
				const shard = cluster.start(0, 1, "per-shard");
				shard.memory.worker.set("lookedMs", lookedMs);
				shard.assignment.topicsFound(old);
				cluster.firstRecordMs = firstRecordMs;
				shard.assignment.topicsFound(withTopic("matched.a", 2, 2, { previousLookMs: lookedMs }));
				expect(startsOf(shard, cluster, "matched.a")).toEqual([start, start]);
				// A shard that has just started has had no look before; the table tells of one.
				const late = cluster.start(1, 1, "per-shard");
				late.assignment.topicsFound(listOf([...withTopic("matched.a", 3).topics, { topic: "matched.b", topicId: idOf(4), partitions: 1 }]));
				expect(startsOf(late, cluster, "matched.a")).toEqual([start, start, 0]);
				expect(startsOf(late, cluster, "matched.b", 4)).toEqual([start]);
			}
		});
	});
});
