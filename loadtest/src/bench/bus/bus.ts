import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemberFiles } from "@shardcast/bus";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { cpuMs } from "@shardcast/testkit";
import { roundsFrom, runBench } from "../support/report.ts";
import { benchProgram, withCleanup } from "../support/subject.ts";
import { BusProcess } from "./bus-process.ts";
import { type Pace, type ReaderResult, recordBytes } from "./bus-records.ts";
import type { RingTask } from "./bus-ring-program.ts";
import type { SocketTask } from "./bus-socket-program.ts";

/**
 * The bus between processes: records per second from one process to two others, against a hub on a Unix socket that gets
 * them in batches of 64; and how long an idle reader takes to wake up, against one that waits on a Unix socket. The readers
 * check that no record is missing.
 */
const rounds = roundsFrom(process.argv.slice(2), 5);
const ringBytes = 2 ** 21;
const flood: Pace = { kind: "flood", warmUpMs: 400, measuredMs: 1500, batch: 64 };
const ticks: Pace = { kind: "ticks", warmUp: 50, measured: 1000, everyMs: 1.2 };

await benchProgram(async () => {
	const throughput = async (trial: Promise<Trial>) => {
		const { readers, cpuMs } = await trial;
		return {
			recordsPerSecond: Math.min(...readers.map((reader) => reader.recordsPerSecond)),
			cpuNsPerRecord: (cpuMs * 1e6) / readers[0].records,
		};
	};
	await runBench({
		name: "bus",
		rounds,
		warmups: 1,
		figures: {
			recordsPerSecond: { unit: "records/s", better: "higher", help: "as the slower of the two readers got them" },
			cpuNsPerRecord: {
				unit: "ns",
				better: "lower",
				help: "CPU of all processes per record: publisher, two readers, and the hub if there is one",
			},
		},
		baseline: "socketHub",
		variants: { socketHub: () => throughput(overHub(2, flood)), ring: () => throughput(overBus(2, flood)) },
		targets: [{ variant: "ring", figure: "recordsPerSecond", atLeast: 3e6 }],
		setup: { recordBytes, readers: 2, batch: flood.batch, ringBytes },
	});

	const latency = async (trial: Promise<Trial>) => {
		const sorted = [...(await trial).readers[0].latenciesMs].sort((one, other) => one - other);
		return { p50Ms: sorted[sorted.length >> 1], p99Ms: sorted[Math.floor(sorted.length * 0.99)] };
	};
	await runBench({
		name: "bus-wake",
		rounds,
		figures: {
			p50Ms: { unit: "ms", better: "lower", help: "from publication to receipt, when the reader slept" },
			p99Ms: { unit: "ms", better: "lower" },
		},
		baseline: "socketHub",
		variants: { socketHub: () => latency(overHub(1, ticks)), doorbell: () => latency(overBus(1, ticks)) },
		targets: [{ variant: "doorbell", figure: "p99Ms", atMost: 1 }],
		setup: { records: ticks.measured, everyMs: ticks.everyMs },
	});
});

interface Trial {
	readonly readers: readonly ReaderResult[];
	/** Of all processes, from start to end. */
	readonly cpuMs: number;
}

/** One publisher and `readers` readers on the shared-memory bus. */
function overBus(readers: number, pace: Pace): Promise<Trial> {
	return withCleanup(async (ends) => {
		const directory = ClusterDirectory.create();
		ends.push(async () => directory.remove());
		const board = Scoreboard.create(directory.boardPath, readers + 1);
		ends.push(async () => board.close());
		const start = (role: RingTask["role"], slot: number): Promise<BusProcess> => {
			createMemberFiles(directory, board, slot, { capacityBytes: ringBytes });
			return BusProcess.start<RingTask>("bus-ring-program.js", { role, directory: directory.path, slot }, pace);
		};
		return runTrial(ends, readers, start);
	});
}

/** The same over a hub. */
function overHub(readers: number, pace: Pace): Promise<Trial> {
	return withCleanup(async (ends) => {
		const directory = mkdtempSync(join(tmpdir(), "shardcast-bench-"));
		ends.push(async () => rmSync(directory, { recursive: true, force: true }));
		const paths = { publishPath: join(directory, "publish.sock"), readPath: join(directory, "read.sock") };
		const start = (role: SocketTask["role"]): Promise<BusProcess> =>
			BusProcess.start<SocketTask>("bus-socket-program.js", { role, ...paths, readers }, pace);
		const hub = await start("hub");
		ends.push(() => hub.stop());
		return runTrial(ends, readers, start, [hub.pid]);
	});
}

/** Readers first, so that they miss nothing. `others` are processes whose CPU counts as well. */
async function runTrial(
	ends: (() => Promise<void>)[],
	readers: number,
	start: (role: "publish" | "read", slot: number) => Promise<BusProcess>,
	others: readonly number[] = [],
): Promise<Trial> {
	const processes: BusProcess[] = [];
	for (let slot = 0; slot <= readers; slot++) {
		const process = await start(slot < readers ? "read" : "publish", slot);
		ends.push(() => process.stop());
		processes.push(process);
	}
	const pids = [...others, ...processes.map(({ pid }) => pid)];
	const cpuOfAllMs = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
	const cpuMsBefore = cpuOfAllMs();
	const results = processes.slice(0, readers).map((reader) => reader.result());
	for (const process of processes) process.go();
	return { readers: await Promise.all(results), cpuMs: cpuOfAllMs() - cpuMsBefore };
}
