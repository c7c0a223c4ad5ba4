import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
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
	describedFrom,
	describedLayout,
	HeaderWord,
	Role,
	requestAllowance,
	Scoreboard,
	ShardState,
	ShardWord,
	SupervisorWord,
	shardCounters,
} from "@shardcast/scoreboard";
import { packVersion } from "@shardcast/wire";
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

	it.each([
		["shard", shardCounters, "clientEventsTooLong", "d9b7a0b02046d1d4"],
		["balancer", balancerCounters, "refusedProxyHeader", "f8d7c9cbec4e805e"],
	])("%s counters keep their places within a major version: new ones come last", (_, counters, last, digest) => {
		const names = counters.map(([name]): string => name);
		const text = names.slice(0, names.indexOf(last) + 1).join();
		expect(createHash("sha256").update(text).digest("hex").slice(0, 16), text).toBe(digest);
	});

	it("every word lies within its part, the parts within the row, each on separate cache lines", () => {
		const { supervisorPart, balancerPart, bellPart, ownPart, counters, countersMax, rowBytes, headerBytes } = BoardLayout;
		const parts: [object, number, number][] = [
			[SupervisorWord, supervisorPart, balancerPart],
			[BalancerRowWord, balancerPart, bellPart],
			[BellWord, bellPart, ownPart],
			[ShardWord, ownPart, counters],
			[BalancerWord, ownPart, counters],
			[HeaderWord, 0, 4 * describedFrom],
		];
		for (const [words, start, end] of parts) {
			const offsets = Object.values(words) as number[];
			expect(new Set(offsets).size).toBe(offsets.length);
			expect(start + 4 * (Math.max(...offsets) + 1)).toBeLessThanOrEqual(end);
		}
		const { histograms, histogramsMax, histogramBytes, troubleText, troubleTextBytes } = BoardLayout;
		for (const start of [supervisorPart, balancerPart, bellPart, ownPart, counters, histograms, troubleText, rowBytes, headerBytes])
			expect(start % 128).toBe(0);
		expect(counters + 8 * countersMax).toBeLessThanOrEqual(histograms);
		expect(histograms + histogramsMax * histogramBytes).toBeLessThanOrEqual(troubleText);
		expect(troubleText + troubleTextBytes).toBeLessThanOrEqual(rowBytes);
		expect(4 * (describedFrom + describedLayout.length)).toBeLessThanOrEqual(headerBytes);
	});

	it("a whole scoreboard has 64 rows of 8 KiB and little more", () => {
		expect(Scoreboard.bytes()).toBe(1024 + 66 * 8192);
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
		row.role = Role.shard;
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

	it("the balancer's row is read by all", () => {
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
		board.balancer.restarts = 3;
		expect(board.balancer.restarts).toBe(3);
	});

	it("has 1 to 64 slots, and no row outside of them", () => {
		for (const slots of [0, 65, 1.5, Number.NaN]) expect(() => Scoreboard.inMemory(slots)).toThrow("it can have 1 to 64");
		const board = Scoreboard.inMemory(3);
		for (const slot of [-1, 3, 0.5]) expect(() => board.row(slot)).toThrow("this scoreboard has slots 0 to 2");
		const made = Scoreboard.create(path);
		expect(made.slotsMax).toBe(64);
		made.close();
	});

	it("tells shards from other members of the bus", () => {
		const board = Scoreboard.inMemory(4);
		board.row(3).role = Role.shard;
		board.row(1).role = Role.gateway;
		board.row(0).role = Role.shard;
		expect(board.rows().map(({ slot }) => slot)).toEqual([0, 3]);
		expect(board.members().map(({ slot }) => slot)).toEqual([0, 1, 3]);
		board.row(0).role = Role.none;
		expect(board.slots()).toEqual([3]);
	});

	it("gives the lowest free slot, and none whose process has not been reaped", () => {
		const board = Scoreboard.inMemory(3);
		board.row(0).role = Role.shard;
		board.row(1).pid = 4711;
		expect(board.freeSlot()).toBe(2);
		board.row(2).role = Role.gateway;
		expect(() => board.freeSlot()).toThrow("all 3 slots are taken");
		board.row(1).pid = 0;
		expect(board.freeSlot()).toBe(1);
	});

	it("opens nothing but a whole scoreboard", () => {
		writeFileSync(path, Buffer.alloc(8192), { mode: 0o600 });
		expect(() => Scoreboard.open(path)).toThrow("is not a scoreboard");
		writeFileSync(path, "short");
		expect(() => Scoreboard.open(path)).toThrow("is not a scoreboard");
		Scoreboard.create(path, 4).close();
		truncateSync(path, 5000);
		expect(() => Scoreboard.open(path)).toThrow("not enough for 4 slots");
	});

	/** Changes header words, and perhaps the whole file, as a program of another version would have written them. */
	function asWrittenBy(version: { major: number; minor: number }, change: (file: Buffer) => Buffer = (file) => file): void {
		Scoreboard.create(path, 2).close();
		const file = readFileSync(path);
		file.writeInt32LE(packVersion(version), 4 * HeaderWord.version);
		writeFileSync(path, change(file));
	}
	const described = (name: (typeof describedLayout)[number]) => 4 * (describedFrom + describedLayout.indexOf(name));
	const { major, minor } = BoardLayout.version;

	it("refuses another major version, and says which and what to do", () => {
		for (const other of [major - 1, major + 1]) {
			asWrittenBy({ major: other, minor: 3 });
			expect(() => Scoreboard.open(path)).toThrow(`has layout version ${other}.3, and this program uses ${major}.x: these programs can't`);
		}
	});

	it("opens a newer minor version where everything lies elsewhere, and its writers and readers agree", () => {
		// Rows twice as long, with the counters, histograms and text moved up behind a new part.
		const [moved, rowBytes] = [2048, 2 * BoardLayout.rowBytes];
		asWrittenBy({ major, minor: minor + 1 }, (file) => {
			const longer = Buffer.alloc(BoardLayout.headerBytes + 4 * rowBytes);
			file.copy(longer, 0, 0, BoardLayout.headerBytes);
			longer.writeInt32LE(rowBytes, described("rowBytes"));
			for (const name of ["counters", "histograms", "troubleText"] as const)
				longer.writeInt32LE(BoardLayout[name] + moved, described(name));
			return longer;
		});
		const [written, read] = [Scoreboard.open(path), Scoreboard.open(path)];
		const row = written.row(1);
		row.role = Role.shard;
		row.set("heartbeatMs", 5.5);
		row.histograms.flushRecords.observe(3);
		row.troubleDetails = new Map([["kafkaRoute", "route.mjs"]]);
		written.balancer.set("accepted", 9);
		expect(read.row(1).get("heartbeatMs")).toBe(5.5);
		expect(read.row(1).histograms.flushRecords.read().count).toBe(1);
		expect([...read.row(1).troubleDetails]).toEqual([["kafkaRoute", "route.mjs"]]);
		expect(read.balancer.get("accepted")).toBe(9);
		expect(read.row(0).snapshot()).toEqual(Scoreboard.inMemory(2).row(0).snapshot());
		written.close();
		read.close();
		const bytes = readFileSync(path);
		const atCounters = BoardLayout.headerBytes + rowBytes + BoardLayout.counters + moved;
		expect(bytes.readDoubleLE(atCounters), "they lie where the header says").toBe(5.5);
	});

	it("opens an older minor version, which has no guards: none acts, and nothing is written", () => {
		asWrittenBy({ major, minor: 0 }, (file) => {
			file.writeInt32LE(0, described("guards"));
			return file;
		});
		const before = readFileSync(path);
		const board = Scoreboard.open(path);
		const shown = new Map([["memory" as const, { sinceMs: 1, value: 99, threshold: 90, times: 1 }]]);
		for (const guards of [board.guards, board.row(0).guards]) {
			guards.write(5, shown);
			guards.end();
			expect([guards.refuses(5), guards.pauses(5), guards.readings(), guards.acting(5)]).toEqual([false, false, [], []]);
		}
		board.close();
		expect(readFileSync(path).equals(before)).toBe(true);
	});

	it("guards that one process writes, others read; each row has separate ones", () => {
		const written = Scoreboard.create(path, 2);
		const read = Scoreboard.open(path);
		const guard = { sinceMs: 4, value: 99.5, threshold: 90, times: 3 };
		written.guards.write(5, new Map([["ingest_memory" as const, guard]]));
		written.row(1).guards.write(5, new Map([["loop_lag" as const, guard]]));
		expect([read.guards.refuses(5), read.guards.pauses(5)]).toEqual([false, true]);
		expect(read.guards.acting(5)).toEqual([{ name: "ingest_memory", action: "pause", unit: "percent", ...guard }]);
		expect([read.row(1).guards.refuses(5), read.row(1).guards.pauses(5), read.row(0).guards.refuses(5)]).toEqual([true, false, false]);
		expect(read.row(1).guards.acting(5)).toEqual([{ name: "loop_lag", action: "refuse", unit: "ms", ...guard }]);
		written.row(1).guards.end();
		expect([read.row(1).guards.refuses(5), read.row(1).guards.acting(5), read.guards.pauses(5)]).toEqual([false, [], true]);
		expect(read.row(1).guards.readings()).toMatchObject([{ name: "loop_lag", sinceMs: 0, value: 0, threshold: 90, times: 3 }]);
		written.close();
		read.close();
	});

	it("refuses a scoreboard without room for what this program counts, or whose header can't be right", () => {
		const cases: [(typeof describedLayout)[number], number, string][] = [
			["countersMax", shardCounters.length - 1, `this program has ${shardCounters.length}`],
			["histogramsMax", 0, "has room for 0 histograms"],
			["rowBytes", 4096, "an impossible layout"],
			["counters", 1028, "an impossible layout"],
			["ownPart", -4, "an impossible layout"],
			["troubleTextBytes", 2 ** 30, "an impossible layout"],
		];
		for (const [name, value, message] of cases) {
			asWrittenBy({ major, minor }, (file) => {
				file.writeInt32LE(value, described(name));
				return file;
			});
			expect(() => Scoreboard.open(path), name).toThrow(message);
		}
	});
});
