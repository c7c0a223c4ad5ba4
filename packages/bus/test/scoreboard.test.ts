import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	BalancerMode,
	BalancerRowWord,
	BalancerWord,
	BellWord,
	BoardLayout,
	type BoardRow,
	balancerCounters,
	ClusterState,
	HeaderWord,
	requestAllowance,
	Scoreboard,
	ShardState,
	ShardWord,
	SupervisorWord,
	shardCounters,
} from "@shardcast/scoreboard";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

describe("layout of the scoreboard", () => {
	it.each([
		["shard", shardCounters],
		["balancer", balancerCounters],
	])("%s counters have a name each, a sentence each, and room", (_, counters) => {
		const names = counters.map(([name]) => name);
		expect(new Set(names).size).toBe(names.length);
		for (const [name, sentence] of counters) {
			expect(name).toMatch(/^[a-z][a-zA-Z0-9]+$/);
			expect(sentence.length, name).toBeGreaterThan(10);
		}
		expect(counters.length).toBeLessThanOrEqual(BoardLayout.countersMax);
	});

	it("every word lies within its part, the parts within the row, each on cache lines of its own", () => {
		const { supervisorPart, balancerPart, bellPart, shardPart, shardCounters: counters, rowBytes } = BoardLayout;
		const parts: [object, number, number][] = [
			[SupervisorWord, supervisorPart, balancerPart],
			[BalancerRowWord, balancerPart, bellPart],
			[BellWord, bellPart, shardPart],
			[ShardWord, shardPart, counters],
			[BalancerWord, 0, BoardLayout.balancerCounters],
			[HeaderWord, 0, BoardLayout.headerBytes],
		];
		for (const [words, start, end] of parts) {
			const offsets = Object.values(words) as number[];
			expect(new Set(offsets).size).toBe(offsets.length);
			expect(start + 4 * (Math.max(...offsets) + 1)).toBeLessThanOrEqual(end);
		}
		for (const start of [supervisorPart, balancerPart, bellPart, shardPart, counters, rowBytes, BoardLayout.headerBytes])
			expect(start % 128).toBe(0);
		expect(counters + 8 * BoardLayout.countersMax).toBeLessThanOrEqual(rowBytes);
		const { histograms, histogramsMax, histogramBytes, troubleText, troubleTextBytes } = BoardLayout;
		expect(histograms + histogramsMax * histogramBytes).toBeLessThanOrEqual(troubleText);
		expect(troubleText + troubleTextBytes).toBeLessThanOrEqual(rowBytes);
	});
});

describe("Scoreboard", () => {
	let directory: string;
	let path: string;

	beforeEach(() => {
		directory = mkdtempSync(join(tmpdir(), "bus-board-"));
		path = join(directory, "board");
	});
	afterEach(() => rmSync(directory, { recursive: true, force: true }));

	const rowWords: (keyof BoardRow & string)[] = [
		"incarnation",
		"core",
		"connectionsGiven",
		"port",
		"pid",
		"restarts",
		"ringGeneration",
		"handoffsSent",
		"proxiedOpen",
		"handoffBatches",
		"handoffsUndone",
		"sleeping",
		"state",
		"connections",
		"handoffsReceived",
		"webSockets",
		"proxiedSeen",
		"connectionsFit",
	];

	it("what one process writes to any word or counter, another one reads, and nothing else changes", () => {
		const written = Scoreboard.create(path, 64);
		const read = Scoreboard.open(path);
		const row = written.row(63);
		const writable = row as unknown as Record<string, number>;
		rowWords.forEach((name, index) => {
			writable[name] = 100 + index;
		});
		for (const [index, [name]] of shardCounters.entries()) row.set(name, 1000.5 + index);
		row.present = true;
		expect(rowWords.map((name) => read.row(63)[name])).toEqual(rowWords.map((_, index) => 100 + index));
		expect(shardCounters.map(([name]) => read.row(63).get(name))).toEqual(shardCounters.map((_, index) => 1000.5 + index));
		expect(read.slots()).toEqual([63]);
		expect(read.row(62).snapshot()).toEqual({ ...Scoreboard.inMemory(64).row(62).snapshot() });
		for (const histogram of Object.values(read.row(63).histograms)) expect(histogram.read().count).toBe(0);
		written.close();
		read.close();
	});

	it("a row's limit is its part of --max-connections, or what its open files allow if that is less", () => {
		const row = Scoreboard.inMemory(1).row(0);
		row.connectionsGiven = 6000;
		expect([row.connectionsMax, row.socketsMax]).toEqual([6000, Number.POSITIVE_INFINITY]);
		row.connectionsFit = 1300;
		expect([row.connectionsMax, row.socketsMax]).toEqual([1300, 1300 + requestAllowance]);
		row.connectionsGiven = 1000;
		expect([row.connectionsMax, row.socketsMax]).toEqual([1000, 1300 + requestAllowance]);
	});

	it("the balancer's block is read by all", () => {
		const written = Scoreboard.create(path, 2);
		const read = Scoreboard.open(path);
		const { balancer } = written;
		balancer.state = ShardState.serving;
		balancer.pid = 77;
		balancer.mode = BalancerMode.handoff;
		balancer.pending = 5;
		balancer.set("accepted", 10);
		balancer.add("accepted", 2.5);
		balancer.add("handedOff", 8);
		balancer.add("takenBack", 1);
		balancer.add("refusedBusy", 2);
		expect(read.balancer.snapshot()).toMatchObject({
			state: ShardState.serving,
			pid: 77,
			mode: 1,
			pending: 5,
			counters: { accepted: 12.5 },
		});
		balancer.release();
		expect(read.balancer.snapshot()).toMatchObject({
			state: ShardState.dead,
			pid: 0,
			mode: 0,
			pending: 0,
			counters: { accepted: 12.5, lost: 3.5 },
		});
		balancer.release();
		expect(read.balancer.get("lost"), "each is counted once").toBe(3.5);
		written.close();
		read.close();
	});

	it("header tells who supervises, the cluster's state and when members changed", () => {
		const board = Scoreboard.inMemory(2);
		expect(board.supervisorPid).toBe(process.pid);
		expect(board.clusterState).toBe(ClusterState.starting);
		board.clusterState = ClusterState.stopping;
		expect(board.clusterState).toBe(ClusterState.stopping);
		const epoch = board.membershipEpoch;
		board.bumpMembership();
		expect(board.membershipEpoch).toBe(epoch + 1);
		board.balancerRestarts = 3;
		expect(board.balancerRestarts).toBe(3);
	});

	it("has 1 to 64 slots, and no row outside of them", () => {
		for (const slots of [0, 65, 1.5, Number.NaN]) expect(() => Scoreboard.inMemory(slots)).toThrow("it can have 1 to 64");
		const board = Scoreboard.inMemory(3);
		for (const slot of [-1, 3, 0.5]) expect(() => board.row(slot)).toThrow("this scoreboard has slots 0 to 2");
	});

	it("opens nothing but a whole scoreboard of its own version", () => {
		writeFileSync(path, Buffer.alloc(8192), { mode: 0o600 });
		expect(() => Scoreboard.open(path)).toThrow("is no scoreboard");
		writeFileSync(path, "short");
		expect(() => Scoreboard.open(path)).toThrow("is no scoreboard");
		Scoreboard.create(path, 4).close();
		truncateSync(path, 5000);
		expect(() => Scoreboard.open(path)).toThrow("not enough for 4 slots");
		const header = Buffer.alloc(8192);
		header.writeInt32LE(BoardLayout.magic, 4 * HeaderWord.magic);
		header.writeInt32LE(BoardLayout.version + 1, 4 * HeaderWord.version);
		writeFileSync(path, header);
		expect(() => Scoreboard.open(path)).toThrow(`has version ${BoardLayout.version + 1}`);
	});
});
