import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Config, defaultConfig } from "@shardcast/config";
import { actingGuards, healthReport, Role, readBoard, readiness, Scoreboard, ShardState } from "@shardcast/scoreboard";
import { afterEach, describe, expect, it } from "vitest";
import { GuardWatch, machineMeasures } from "../src/guard-watch.ts";
import { SharedMemoryUse } from "../src/shared-memory-use.ts";

const access = { auth: "open", mayPublish: { http: "nobody", webSocket: "nobody" } } as const;

/** A cluster of rows whose figures the test sets, and a clock. */
class Rig {
	readonly board: Scoreboard;
	readonly lines: { level: string; fields: Record<string, unknown>; text: string }[] = [];
	readonly told: string[] = [];
	readonly watch: GuardWatch;
	nowMs = 1_000_000;
	cpus = 2;
	memory: number | null = 10;
	sharedMemory: number | null = 0;
	ownCpuMs = 0;

	constructor(shards: number, config: Partial<Config> = {}) {
		this.board = Scoreboard.inMemory(shards);
		for (let slot = 0; slot < shards; slot++) {
			const row = this.board.row(slot);
			row.role = Role.shard;
			row.incarnation = 1;
			row.connectionsGiven = 1000;
			row.state = ShardState.serving;
			row.set("openFilesMax", 1024);
			row.set("openFiles", 100);
		}
		const line = (level: string) => (fields: unknown, text?: string) =>
			void this.lines.push({ level, fields: fields as Record<string, unknown>, text: text ?? "" });
		this.watch = new GuardWatch({
			board: this.board,
			config: { ...defaultConfig(), guardCpuWindowMs: 5000, guardHoldMs: 3000, ...config },
			measures: {
				cpus: () => this.cpus,
				ownCpuMs: () => this.ownCpuMs,
				memory: () => (this.memory === null ? null : { usedBytes: this.memory, limitBytes: 100, source: "machine" }),
				sharedMemory: () => this.sharedMemory,
			},
			log: { warn: line("warn"), info: line("info") } as never,
			tell: (_, text) => void this.told.push(text),
			nowMs: () => this.nowMs,
		});
	}

	/** Lets seconds pass in which each shard uses this part of a CPU. */
	pass(seconds: number, cpu: number | readonly number[] = 0.1): void {
		for (let second = 0; second < seconds; second++) {
			this.nowMs += 1000;
			for (const row of this.board.rows()) {
				row.add("cpuMs", 1000 * (typeof cpu === "number" ? cpu : cpu[row.slot]!));
				row.set("heartbeatMs", this.nowMs);
			}
			this.watch.look();
		}
	}

	get refuses(): boolean {
		return this.board.guards.refuses(this.nowMs);
	}

	get acting(): string[] {
		return actingGuards(this.board, this.nowMs).map(({ name, shard }) => (shard === undefined ? name : `${name} of ${shard}`));
	}
}

describe("the guards of a cluster", () => {
	it("none acts in a quiet cluster", () => {
		const rig = new Rig(2);
		rig.pass(20);
		expect(rig.acting).toEqual([]);
		expect(rig.refuses).toBe(false);
		expect(healthReport(rig.board, { ...access, nowMs: rig.nowMs })).not.toHaveProperty("guards");
		expect(rig.lines).toEqual([]);
	});

	it("CPU: all processes together, of the CPUs that they may use", () => {
		const rig = new Rig(2);
		rig.cpus = 4;
		rig.pass(10, 0.7);
		expect(rig.acting, "1.4 of 4").toEqual([]);
		rig.cpus = 1.5;
		rig.pass(40, 0.7);
		expect(rig.acting, "1.4 of 1.5, which also is most of what each shard has; the quota is read again").toEqual([
			"cpu",
			"ingest_cpu",
			"cpu of 0",
			"cpu of 1",
		]);
		expect(rig.board.guards.pauses(rig.nowMs)).toBe(true);
		rig.pass(10, 0.2);
		expect(rig.acting).toEqual([]);
		expect(rig.board.guards.pauses(rig.nowMs)).toBe(false);
	});

	it("CPU: refuses at 75 % and pauses reading from Kafka at 80 %", () => {
		const rig = new Rig(1, { guardLoopLagMs: 0 });
		rig.cpus = 1;
		rig.pass(20, 0.77);
		expect(rig.acting).toEqual(["cpu", "cpu of 0"]);
		rig.pass(20, 0.82);
		expect(rig.acting).toEqual(["cpu", "ingest_cpu", "cpu of 0"]);
	});

	it("CPU: of a shard that is busy alone, only the shard's guard acts", () => {
		const rig = new Rig(2);
		rig.pass(10, [0.95, 0.1]);
		expect(rig.acting).toEqual(["cpu of 0"]);
		expect([rig.board.row(0).guards.refuses(rig.nowMs), rig.board.row(1).guards.refuses(rig.nowMs), rig.refuses]).toEqual([
			true,
			false,
			false,
		]);
	});

	it("CPU: balancer and supervisor count", () => {
		const rig = new Rig(1);
		for (let second = 0; second < 10; second++) {
			rig.ownCpuMs += 700;
			rig.board.balancer.add("cpuMs", 800);
			rig.pass(1, 0.1);
		}
		expect(rig.acting).toEqual(["cpu", "ingest_cpu"]);
	});

	it("a burst that fills all CPUs for a fifth of the window is no reason to refuse", () => {
		const rig = new Rig(2, { guardCpuWindowMs: 30_000 });
		rig.pass(40, 0.3);
		rig.pass(6, 1);
		expect(rig.acting).toEqual([]);
		rig.pass(20, 1);
		expect(rig.acting).toContain("cpu");
	});

	it("memory: refuses, and pauses reading from Kafka later; what is unknown is no reason", () => {
		const rig = new Rig(1);
		rig.memory = null;
		rig.pass(5);
		rig.memory = 91;
		rig.pass(3);
		expect(rig.acting, "a short peak").toEqual([]);
		rig.pass(2);
		expect(rig.acting).toEqual(["memory"]);
		rig.memory = 96;
		rig.pass(5);
		expect(rig.acting).toEqual(["memory", "ingest_memory"]);
		rig.memory = 87;
		rig.pass(20);
		expect(rig.acting, "87 % is not yet well below 90 %").toEqual(["memory"]);
		rig.memory = 50;
		rig.pass(5);
		expect(rig.acting).toEqual([]);
	});

	it("shared memory", () => {
		const rig = new Rig(1);
		rig.sharedMemory = 97;
		rig.pass(5);
		expect(rig.acting).toEqual(["shared_memory"]);
		rig.sharedMemory = null;
		rig.pass(5);
		expect(rig.acting).toEqual([]);
	});

	it("delay of a shard's loop, after five bad seconds in a row", () => {
		const rig = new Rig(2);
		rig.board.row(1).set("loopLagP99Ms", 1400);
		rig.pass(5);
		rig.board.row(1).set("loopLagP99Ms", 10);
		rig.pass(1);
		rig.board.row(1).set("loopLagP99Ms", 1400);
		rig.pass(5);
		expect(rig.acting).toEqual([]);
		rig.pass(1);
		expect(rig.acting).toEqual(["loop_lag of 1"]);
		rig.board.row(1).set("loopLagP99Ms", 10);
		rig.pass(4);
		expect(rig.acting).toEqual([]);
	});

	it("a loop that stands still and cannot tell its delay", () => {
		const rig = new Rig(1);
		rig.pass(2);
		for (let second = 0; second < 8; second++) {
			rig.nowMs += 1000;
			rig.watch.look();
		}
		expect(rig.acting).toEqual(["loop_lag of 0"]);
		expect(
			rig.board
				.row(0)
				.guards.readings()
				.find(({ name }) => name === "loop_lag")?.value,
		).toBeGreaterThan(7000);
	});

	it("descriptors of a shard", () => {
		const rig = new Rig(2);
		rig.board.row(0).set("openFiles", 959);
		rig.pass(2);
		expect(rig.acting).toEqual([]);
		rig.board.row(0).set("openFiles", 960);
		rig.pass(1);
		expect(rig.acting).toEqual(["descriptors of 0"]);
		rig.board.row(0).set("openFiles", 900);
		rig.pass(5);
		expect(rig.acting).toEqual([]);
	});

	it("the guards of a restarted shard begin again, and their counts continue", () => {
		const rig = new Rig(1);
		const row = rig.board.row(0);
		row.set("openFiles", 1000);
		rig.pass(2);
		expect(rig.acting).toEqual(["descriptors of 0"]);
		row.incarnation = 2;
		row.set("openFiles", 100);
		rig.pass(1);
		expect(rig.acting).toEqual([]);
		expect(row.guards.readings().find(({ name }) => name === "descriptors")?.times).toBe(1);
		expect(
			rig.lines.map(({ fields }) => fields.acts),
			"the log also says that it ended",
		).toEqual([true, false]);
	});

	it("a look between the death of a shard and its restart keeps nobody away from the new process", () => {
		const rig = new Rig(1);
		const row = rig.board.row(0);
		row.set("openFiles", 1000);
		rig.pass(2);
		row.state = ShardState.dead;
		rig.pass(1);
		expect(rig.acting, "as before, for a while").toEqual(["descriptors of 0"]);
		row.incarnation = 2;
		row.guards.end();
		row.state = ShardState.serving;
		row.set("openFiles", 100);
		expect([row.guards.refuses(rig.nowMs), rig.acting]).toEqual([false, []]);
		rig.pass(1);
		expect([row.guards.refuses(rig.nowMs), rig.acting]).toEqual([false, []]);
		expect(row.guards.readings().find(({ name }) => name === "descriptors")?.times).toBe(1);
	});

	it("a shard that is removed while its guard acts: the log says so, once, and a shard in the same slot begins again", () => {
		const rig = new Rig(2);
		const row = rig.board.row(1);
		row.set("openFiles", 1000);
		rig.pass(3);
		expect(rig.acting).toEqual(["descriptors of 1"]);
		row.role = Role.none;
		rig.pass(2);
		expect(rig.acting).toEqual([]);
		expect(rig.told).toEqual([
			"shard 1 refuses new clients: open descriptors: 1000 (guards.descriptors: 960)",
			"shard 1 was removed after it had refused new clients for 3 s (guards.descriptors: 960)",
		]);
		expect(rig.lines.at(-1)).toMatchObject({ level: "info", fields: { audit: "guard", guard: "descriptors", shard: 1, acts: false } });
		row.role = Role.shard;
		row.incarnation = 2;
		row.set("openFiles", 100);
		rig.pass(1);
		expect(rig.acting).toEqual([]);
		expect(rig.lines).toHaveLength(2);
	});

	it("each change is a line for the audit and one for the console, with value, threshold and time", () => {
		const rig = new Rig(2);
		rig.memory = 91.24;
		rig.pass(5);
		rig.memory = 40;
		rig.pass(10);
		expect(rig.lines).toEqual([
			{
				level: "warn",
				text: "the cluster refuses new clients: memory in use: 91 % (guards.memory: 90 %)",
				fields: { audit: "guard", guard: "memory", acts: true, value: 91.2, threshold: 90, unit: "percent" },
			},
			{
				level: "info",
				text: "the cluster takes new clients again after 5 s: memory in use: 40 % (guards.memory: 90 %)",
				fields: { audit: "guard", guard: "memory", acts: false, value: 40, threshold: 90, unit: "percent", tookMs: 5000 },
			},
		]);
		expect(rig.told).toEqual(rig.lines.map(({ text }) => text));
		rig.board.row(1).set("openFiles", 1000);
		rig.pass(1);
		expect(rig.lines.at(-1)).toMatchObject({
			text: "shard 1 refuses new clients: open descriptors: 1000 (guards.descriptors: 960)",
			fields: { shard: 1, guard: "descriptors" },
		});
	});

	it("health and readiness tell which act, since when, and why; the cluster stays ready", () => {
		const rig = new Rig(2);
		rig.memory = 91;
		rig.board.row(1).set("openFiles", 1000);
		rig.pass(5);
		const { status, reasons, guards } = healthReport(rig.board, { ...access, nowMs: rig.nowMs });
		expect(status).toBe("degraded");
		const since = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/;
		expect(guards).toEqual([
			{ name: "memory", action: "refuse", since: expect.stringMatching(since), value: 91, threshold: 90, unit: "percent" },
			{
				...{ name: "descriptors", shard: 1, action: "refuse", since: expect.stringMatching(since) },
				...{ value: 1000, threshold: 960, unit: "descriptors" },
			},
		]);
		expect(reasons).toEqual([
			expect.stringMatching(/^the cluster refuses new clients since \d\d:\d\d:\d\d UTC: memory in use: 91 % \(guards\.memory: 90 %\)$/),
			expect.stringMatching(/^shard 1 refuses new clients since .*: open descriptors: 1000 \(guards\.descriptors: 960\)$/),
		]);
		expect(readiness(rig.board, { nowMs: rig.nowMs })).toMatchObject({
			ready: true,
			reasons: [],
			guards: [{ name: "memory" }, { name: "descriptors", shard: 1 }],
		});
	});

	it("new thresholds apply from the next look on, and what is switched off stops at once", () => {
		const rig = new Rig(1, { guardHoldMs: 60_000 });
		rig.memory = 60;
		rig.sharedMemory = 60;
		rig.board.row(0).set("openFiles", 990);
		rig.board.row(0).set("loopLagP99Ms", 100);
		rig.watch.reload({ ...defaultConfig(), guardDescriptors: 10 });
		rig.pass(20, 0.9);
		expect(rig.acting, "of two CPUs, and of one in a window that is not full yet").toEqual([]);
		const low = { guardCpu: 40, guardIngestCpu: 45, guardMemory: 50, guardIngestMemory: 55, guardLoopLagMs: 50, guardSharedMemory: 50 };
		rig.watch.reload({ ...defaultConfig(), ...low, guardCpuWindowMs: 5000, guardDescriptors: 64, guardHoldMs: 60_000 });
		rig.pass(8, 0.95);
		expect(rig.acting).toEqual([
			...["cpu", "ingest_cpu", "memory", "ingest_memory", "shared_memory"],
			...["cpu of 0", "loop_lag of 0", "descriptors of 0"],
		]);
		rig.memory = 10;
		rig.pass(5, 0.95);
		expect(rig.acting).toContain("memory");
		rig.watch.reload({ ...defaultConfig(), ...low, guardCpuWindowMs: 5000, guardHoldMs: 2000 });
		rig.pass(1, 0.95);
		expect(rig.acting, "a shorter time to hold").not.toContain("memory");
		const off = { guardCpu: 0, guardIngestCpu: 0, guardMemory: 0, guardIngestMemory: 0, guardLoopLagMs: 0, guardSharedMemory: 0 };
		rig.watch.reload({ ...defaultConfig(), ...off, guardDescriptors: 0 });
		rig.pass(1, 0.95);
		expect(rig.acting).toEqual([]);
		expect(rig.lines.some(({ text }) => /^the cluster reads from Kafka again after .* \(guards\.ingest_cpu is off\)$/.test(text))).toBe(
			true,
		);
	});

	it("nobody is kept away for ever when the process that watches stands still", () => {
		const rig = new Rig(1);
		rig.memory = 99;
		rig.board.row(0).set("openFiles", 1000);
		rig.pass(5);
		expect(rig.refuses).toBe(true);
		rig.nowMs += 9999;
		expect([rig.refuses, rig.board.row(0).guards.refuses(rig.nowMs), rig.board.guards.pauses(rig.nowMs)]).toEqual([true, true, true]);
		rig.nowMs += 1;
		expect([rig.refuses, rig.board.row(0).guards.refuses(rig.nowMs), rig.board.guards.pauses(rig.nowMs)]).toEqual([false, false, false]);
		expect(rig.acting).toEqual([]);
	});

	it("metrics and reports have those that are on, with the threshold", () => {
		const rig = new Rig(1, { guardMemory: 0 });
		rig.pass(10, 0.5);
		const { guards, shards } = readBoard(rig.board, rig.nowMs);
		expect(guards.map(({ name }) => name)).toEqual(["cpu", "ingest_cpu", "ingest_memory", "shared_memory"]);
		expect(shards[0]!.guards.map(({ name }) => name)).toEqual(["cpu", "loop_lag", "descriptors"]);
		expect(guards[0]).toMatchObject({ value: expect.closeTo(25, 0), threshold: 75, sinceMs: 0, times: 0 });
		expect(shards[0]!.guards[0]).toMatchObject({ value: expect.closeTo(50, 0), threshold: 75 });
	});
});

describe("what is measured on this machine", () => {
	let folder: string | undefined;
	afterEach(() => {
		if (folder !== undefined) rmSync(folder, { recursive: true });
		folder = undefined;
	});

	it("has plausible values", () => {
		folder = mkdtempSync(join(tmpdir(), "guards-"));
		const { cpus, memory, sharedMemory, ownCpuMs } = machineMeasures({ folder, ownCpuMs: () => 5 });
		expect(cpus()).toBeGreaterThan(0);
		const { usedBytes, limitBytes } = memory()!;
		expect(usedBytes).toBeGreaterThan(0);
		expect(limitBytes).toBeGreaterThan(usedBytes);
		expect(sharedMemory()).toBeLessThanOrEqual(100);
		expect(ownCpuMs()).toBe(5);
		expect(machineMeasures({ folder: null, ownCpuMs: () => 0 }).sharedMemory()).toBeNull();
	});

	it("the cluster's own files are no use of shared memory by others", () => {
		folder = mkdtempSync("/dev/shm/shardcast-test-guards-");
		writeFileSync(join(folder, "ring"), Buffer.alloc(64 * 1_048_576, 1));
		const own = new SharedMemoryUse(folder).read()!;
		const other = mkdtempSync("/dev/shm/shardcast-test-guards-");
		try {
			const asOther = new SharedMemoryUse(other).read()!;
			expect(asOther).toBeGreaterThan(own);
		} finally {
			rmSync(other, { recursive: true });
		}
		expect(new SharedMemoryUse("/nowhere").read()).toBeNull();
	});
});
