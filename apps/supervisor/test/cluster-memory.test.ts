import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { clusterGuards, Role, Scoreboard, shardGuards } from "@shardcast/scoreboard";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ClusterMemory } from "../src/cluster-memory.ts";

const ringBytes = 65_536;
const historyMemoryBytes = 33_554_432;

describe("ClusterMemory", () => {
	let base: string;
	let memory: ClusterMemory | undefined;
	beforeEach(() => {
		base = mkdtempSync("/dev/shm/cluster-memory-");
	});
	afterEach(() => {
		memory?.remove();
		memory = undefined;
		rmSync(base, { recursive: true, force: true });
	});

	const create = (shards: number, positions = false): ClusterMemory => {
		memory = ClusterMemory.create(base, { shards, ringCapacityBytes: ringBytes, history: { memoryBytes: historyMemoryBytes }, positions });
		return memory;
	};
	const status = (name: string) => statSync(join(memory!.path, name));
	const takenBytes = (name: string) => status(name).blocks * 512;
	const started = (slot: number, incarnation = 1) =>
		memory!.shardStarts(slot, { incarnation, restarts: 0, pid: 4000 + slot, core: null, port: 3002 + slot, connectionsMax: 100 });

	it("has room for 64 members from the start, and takes little more than the rings of those that there are", () => {
		const { board } = create(2);
		expect(board.slotsMax).toBe(64);
		expect(board.members().map(({ slot, role }) => [slot, role])).toEqual([
			[0, Role.shard],
			[1, Role.shard],
		]);
		expect(board.freeSlot()).toBe(2);
		const files = readdirSync(memory!.path).filter((name) => status(name).isFile());
		const taken = files.map(takenBytes).reduce((sum, bytes) => sum + bytes, 0);
		// The scoreboard, the rates, each ring with its 64 readers' lines, and the logs' tables; their data are taken as they fill.
		expect(taken - 2 * ringBytes).toBeLessThan(Scoreboard.bytes() + 600_000 + 2 * 16_384 + historyMemoryBytes * 0.3);
		expect(status("log-7").size).toBe(historyMemoryBytes / 8);
	});

	it("counts addresses for 64 members in memory for those that there are", () => {
		create(2);
		memory!.countAddresses(100_000);
		// Each connection counts for its address and for its user.
		const partBytes = 2 * 100_000 * 4 * 12;
		expect(status("addresses").size).toBeGreaterThan(64 * partBytes);
		expect(takenBytes("addresses")).toBeGreaterThanOrEqual(2 * partBytes);
		expect(takenBytes("addresses")).toBeLessThan(2.1 * partBytes);
	});

	it("each shard's part of the addresses has room for what it may get when shards are drained or removed, or says that it has not", () => {
		const partBytes = (connections: number) => 2 * connections * 4 * 12;
		create(8);
		memory!.countAddresses(1000, { least: 100, scaled: 1000 });
		expect(takenBytes("addresses"), "all in one shard").toBeGreaterThanOrEqual(8 * partBytes(1000));
		expect([memory!.uncounted(125), memory!.uncounted(1000)]).toEqual([null, null]);
		expect(memory!.uncounted(1001), "--max-connections was raised").toMatch(
			/^a shard may have 1001 connections now, but .* was made for 1000:/,
		);
		memory!.remove();
		create(8);
		expect(memory!.uncounted(1_000_000), "nothing is counted").toBe(null);
		memory!.countAddresses(7000, { least: 100, scaled: 500 });
		expect(memory!.uncounted(1000), "one is drained").toBe(null);
		expect(memory!.uncounted(1001), "two are").toContain("was made for 1000");
	});

	it("refuses a shard for which the table of addresses has no part, and leaves nothing of it", () => {
		create(2);
		memory!.countAddresses(100, { least: 100, bytesMax: 3.5 * 2 * 100 * 4 * 12 });
		expect(memory!.addShard()).toBe(2);
		const before = readdirSync(memory!.path).toSorted();
		expect(() => memory!.addShard()).toThrow(
			"the table of connections per address and user was made for 3 shards with 100 connections each; restart the cluster with --shards 4",
		);
		expect(readdirSync(memory!.path).toSorted()).toEqual(before);
		expect(memory!.board.slots()).toEqual([0, 1, 2]);
	});

	it("makes the position table for clusters that read Kafka, and for no others", { tags: ["long"] }, () => {
		create(1, true);
		expect(readdirSync(memory!.path)).toContain("kafka-positions");
		memory!.remove();
		create(1);
		expect(readdirSync(memory!.path)).not.toContain("kafka-positions");
	});

	it("a shard that is added has all that a shard needs, and one that is removed leaves nothing", () => {
		create(2);
		memory!.openHandoffs();
		memory!.countAddresses(1000);
		memory!.eventReaders();
		const before = readdirSync(memory!.path).toSorted();
		const addressBytes = takenBytes("addresses");
		expect(memory!.addShard()).toBe(2);
		expect(memory!.takers, "the others keep their connections until it serves").toBe(2);
		expect(readdirSync(memory!.path)).toEqual(expect.arrayContaining(["ring-2.1", "bell-2", "handoff-2.sock", "events-2"]));
		expect(takenBytes("addresses")).toBeGreaterThan(addressBytes);
		expect(memory!.handoffDescriptors()).toHaveLength(3);
		expect([...memory!.eventReaders().keys()]).toEqual([0, 1, 2]);
		const row = memory!.board.row(2);
		started(2);
		row.isDrained = true;
		row.handoffsSent = 5;
		row.handoffsReceived = 3;
		memory!.shardDied(2);
		expect(memory!.isDone(2), "two connections are on their way").toBe(false);
		row.handoffsUndone = 2;
		expect(memory!.isDone(2)).toBe(true);
		memory!.removeShard(2);
		expect(readdirSync(memory!.path).toSorted()).toEqual(before);
		expect([...memory!.eventReaders().keys()]).toEqual([0, 1]);
		expect(memory!.handoffDescriptors()).toHaveLength(2);
		expect(memory!.board.slots()).toEqual([0, 1]);
		expect(memory!.addShard()).toBe(2);
		expect([memory!.board.row(2).isDrained, memory!.board.row(2).ringGeneration]).toEqual([true, 2]);
		const reader = memory!.eventReaders().get(2)!;
		expect(
			reader.read(1, () => {}),
			"its new ring",
		).toBe(0);
	});

	it("a slot is free for the next process once its last one has been reaped", () => {
		const { board } = create(2);
		started(0);
		started(1);
		expect([board.row(0).pid, board.row(1).pid]).toEqual([4000, 4001]);
		memory!.shardDied(1);
		expect([board.row(0).pid, board.row(1).pid]).toEqual([4000, 0]);
		expect(board.row(1).role, "it stays a member: its ring is read on").toBe(Role.shard);
	});

	it("a new process takes clients although guards of the one before it acted; those of the others and of the cluster go on", () => {
		const { board } = create(2);
		const nowMs = 5000;
		const acts = { sinceMs: 4000, value: 8000, threshold: 1000, times: 3 };
		started(0);
		started(1);
		for (const { guards } of board.rows()) guards.write(nowMs, new Map(shardGuards.map((name) => [name, acts])));
		board.guards.write(nowMs, new Map(clusterGuards.map((name) => [name, acts])));
		memory!.shardDied(0);
		started(0, 2);
		expect([board.row(0).guards.refuses(nowMs), board.row(0).guards.acting(nowMs)]).toEqual([false, []]);
		expect(
			board
				.row(0)
				.guards.readings()
				.map(({ times }) => times),
			"metrics count on",
		).toEqual([3, 3, 3]);
		expect([board.row(1).guards.refuses(nowMs), board.guards.refuses(nowMs), board.guards.pauses(nowMs)]).toEqual([true, true, true]);
	});
});
