import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import type { VisitOrigin } from "@shardcast/bus";
import { ChannelLog } from "@shardcast/channel-log";
import { attachRing, createRing, RingReader, ringBytes } from "@shardcast/ring";
import { createRecordHead, readRecordHead } from "@shardcast/wire";
import { batch, RecordSink, recordBytes, shortPause, windowBytes } from "../ring/ring-records.ts";
import { roundsFrom, runBench } from "../support/report.ts";
import { benchProgram, withCleanup } from "../support/subject.ts";
import type { LogThreadResult, LogThreadTask } from "./log-thread.ts";

/**
 * The sequenced logs: publications per second from 1, 2, 4 and `crowd` threads into one channel, and so into one log, which is the worst that can
 * happen to its lock; the crowd are at least twice as many as there are CPUs, so that holders are preempted; from 4 threads into many channels, and so into all logs; against one writer of the bus' ring, which needs no lock, keeps no
 * history, finds no duplicates and reads no clock: of the 0.26 µs of a publication into a log, reading the clock takes 0.055 on this kind of
 * machine, the lock 0.016, and copying 128 bytes 0.017. All flat out. Then the same with a reader that checks every record.
 */
const rounds = roundsFrom(process.argv.slice(2), 5);
const durationMs = 1000;
const memoryBytes = 2 ** 26;
/** Of the bench that reads. */
const count = 2_000_000;
const readersMax = 64;
const crowd = Math.min(readersMax - 1, Math.max(8, 2 * availableParallelism()));

await benchProgram(async () => {
	await runBench({
		name: "log",
		rounds,
		warmups: 1,
		figures: {
			appendsPerSecond: { unit: "records/s", better: "higher", help: "of all writers together" },
			lockedPercent: { unit: "%", better: "lower", compared: false, help: "attempts that found the lock taken, and were made again" },
			longestMs: { unit: "ms", better: "lower", compared: false, help: "longest that a publication took, all its attempts together" },
		},
		baseline: "ring",
		variants: {
			ring: () => write([{ kind: "ring", buffer: newRing(), durationMs }]),
			log1: () => writeLog(1, 1),
			log2: () => writeLog(2, 1),
			log4: () => writeLog(4, 1),
			crowd: () => writeLog(crowd, 1),
			spread4: () => writeLog(4, 64),
		},
		targets: [
			{ variant: "log1", figure: "appendsPerSecond", atLeast: 2e6 },
			{ variant: "log4", figure: "appendsPerSecond", atLeast: 1e6 },
		],
		setup: { recordBytes, memoryBytes, durationMs, crowd },
	});

	await runBench({
		name: "log-read",
		rounds,
		warmups: 1,
		figures: { recordsPerSecond: { unit: "records/s", better: "higher", help: "written by one thread, read and checked by another" } },
		baseline: "ring",
		variants: { ring: readRing, log: readLog },
		targets: [{ variant: "log", figure: "recordsPerSecond", atLeast: 1e6 }],
		setup: { recordBytes, memoryBytes, count },
	});

	await runBench({
		name: "log-history",
		rounds,
		warmups: 1,
		figures: {
			newest10PerSecond: { unit: "reads/s", better: "higher", help: "the newest 10 of 1,000 publications" },
			recover100PerSecond: { unit: "reads/s", better: "higher", help: "100 publications since a position" },
		},
		variants: { history },
		setup: { recordBytes },
	});
});

function newRing(): SharedArrayBuffer {
	const buffer = new SharedArrayBuffer(ringBytes(windowBytes, readersMax));
	createRing(buffer, { capacityBytes: windowBytes, readersMax });
	return buffer;
}

/** In /dev/shm, as in a cluster. */
async function withLogs<T>(work: (directory: string) => Promise<T> | T): Promise<T> {
	return withCleanup(async (ends) => {
		const directory = mkdtempSync("/dev/shm/shardcast-bench-");
		ends.push(async () => rmSync(directory, { recursive: true }));
		ChannelLog.create(directory, { memoryBytes });
		return work(directory);
	});
}

function writeLog(writers: number, channels: number) {
	return withLogs((directory) =>
		write(Array.from({ length: writers }, (_, slot) => ({ kind: "log", directory, slot, channels, durationMs }) as const)),
	);
}

/** All threads write for the same time. */
function write(tasks: readonly LogThreadTask[]) {
	return withThreads(tasks, async (workers) => {
		const results = await Promise.all(workers.map(async (worker) => (await once(worker, "message"))[0] as LogThreadResult));
		const appended = results.reduce((sum, result) => sum + result.appended, 0);
		const locked = results.reduce((sum, result) => sum + result.locked, 0);
		return {
			appendsPerSecond: results.reduce((sum, result) => sum + result.appended / (result.tookMs / 1000), 0),
			lockedPercent: (100 * locked) / (appended + locked),
			longestMs: Math.max(...results.map((result) => result.longestMs)),
		};
	});
}

/** Starts the threads, says "start" when all are up, and ends them. */
async function withThreads<T>(tasks: readonly LogThreadTask[], work: (workers: readonly Worker[]) => Promise<T> | T): Promise<T> {
	return withCleanup(async (ends) => {
		const workers: Worker[] = [];
		for (const task of tasks) {
			const worker = new Worker(new URL("./log-thread.js", import.meta.url), { workerData: task });
			ends.push(async () => void (await worker.terminate()));
			await once(worker, "message");
			workers.push(worker);
		}
		for (const worker of workers) worker.postMessage("start");
		return work(workers);
	});
}

function readRing() {
	const buffer = newRing();
	const reader = new RingReader(attachRing(buffer), 0);
	reader.join();
	const sink = new RecordSink();
	return readAll({ kind: "ring", buffer, count }, sink, () => reader.read(batch, (_u8, view, start, end) => sink.read(view, start, end)));
}

function readLog() {
	return withLogs((directory) => {
		const reader = ChannelLog.open(directory, { slot: 1, incarnation: 1 }).reader(1);
		const sink = new RecordSink();
		const head = createRecordHead();
		const visit: VisitOrigin = (_origin, _u8, view, start, end) => {
			readRecordHead(view, start, end, head);
			sink.read(view, head.payloadStart, head.payloadEnd);
		};
		return readAll({ kind: "log", directory, slot: 0, channels: 1, count }, sink, () => reader.read(batch, visit));
	});
}

function readAll(task: LogThreadTask, sink: RecordSink, drain: () => number) {
	return withThreads([task], () => {
		const startMs = performance.now();
		while (sink.count < count) {
			if (drain() > 0) continue;
			if (performance.now() - startMs > 60_000) throw new Error(`the writing thread has stopped after ${sink.count} records`);
			shortPause();
		}
		return { recordsPerSecond: count / ((performance.now() - startMs) / 1000) };
	});
}

function history() {
	const log = ChannelLog.inMemory({ memoryBytes });
	const data = new Uint8Array(recordBytes);
	const kept = { history: { size: 1000, ttlMs: 600_000, metaTtlMs: 600_000 } };
	for (let n = 0; n < 1000; n++) for (let channel = 0; channel < 20; channel++) log.publish(`channel-${channel}`, data, kept);
	const { epoch } = log.position("channel-0")!;
	const perSecond = (read: (channel: string) => number, expected: number): number => {
		const startMs = performance.now();
		const reads = 20_000;
		for (let n = 0; n < reads; n++) if (read(`channel-${n % 20}`) !== expected) throw new Error("a publication is missing");
		return reads / ((performance.now() - startMs) / 1000);
	};
	const since = { offset: 900, epoch };
	return {
		newest10PerSecond: perSecond((channel) => log.history(channel, { reverse: true, limit: 10 })!.publications.length, 10),
		recover100PerSecond: perSecond((channel) => {
			const { position, publications } = log.history(channel, { since: { ...since, epoch: log.position(channel)!.epoch } })!;
			return position.offset === 1000 ? publications.length : -1;
		}, 100),
	};
}
