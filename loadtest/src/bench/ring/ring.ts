import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { createRing, type Ring, RingReader, RingWriter, ringBytes } from "@shardcast/ring";
import { roundsFrom, runBench } from "../support/report.ts";
import { benchProgram, withCleanup } from "../support/subject.ts";
import { batch, RecordSink, RecordSource, type RingThreadTask, recordBytes, shortPause, windowBytes } from "./ring-records.ts";

/**
 * Records per second from one thread to another over a ring, which takes them one by one, against the same records over a
 * worker's postMessage, in batches and one by one; and over a ring within one thread, which is what writing and reading
 * cost when no cache line travels between cores. The reader checks every record.
 */
const rounds = roundsFrom(process.argv.slice(2), 7);
const readersMax = 64;
/** Half a second each on a machine that does nothing else. All are multiples of the batch. */
const counts = { batchedPost: 6_400_000, singlePost: 320_000, ring: 9_600_000, oneThread: 9_600_000 };

interface Figures {
	readonly recordsPerSecond: number;
}

await benchProgram(async () => {
	await runBench({
		name: "ring",
		rounds,
		warmups: 1,
		figures: { recordsPerSecond: { unit: "records/s", better: "higher" } },
		baseline: "batchedPost",
		variants: {
			batchedPost: () => overPort(counts.batchedPost, batch),
			singlePost: () => overPort(counts.singlePost, 1),
			ring: overRing,
			oneThread,
		},
		targets: [{ variant: "ring", figure: "recordsPerSecond", atLeast: 5e6 }],
		setup: { recordBytes, batch, windowBytes, readersMax },
	});
});

function newRing(): Ring {
	return createRing(new SharedArrayBuffer(ringBytes(windowBytes, readersMax)), { capacityBytes: windowBytes, readersMax });
}

function figures(count: number, startMs: number): Figures {
	return { recordsPerSecond: count / ((performance.now() - startMs) / 1000) };
}

/** Measures the time from the start signal until the last record is read. */
async function withThread(task: RingThreadTask, read: (worker: Worker) => Promise<void> | void): Promise<Figures> {
	return withCleanup(async (ends) => {
		const worker = new Worker(new URL("./ring-thread.js", import.meta.url), { workerData: task });
		ends.push(async () => void (await worker.terminate()));
		await once(worker, "message");
		const startMs = performance.now();
		worker.postMessage("start");
		await read(worker);
		return figures(task.count, startMs);
	});
}

function overRing(): Promise<Figures> {
	const ring = newRing();
	const reader = new RingReader(ring, 0);
	reader.join();
	const sink = new RecordSink();
	const visit = (_u8: Uint8Array, view: DataView, start: number, end: number): void => sink.read(view, start, end);
	return withThread({ kind: "ring", buffer: ring.u8.buffer as SharedArrayBuffer, count: counts.ring }, () => {
		// As every reader here does, it rests when there is nothing: one that spins takes the tail's cache line from the writer at
		// each record, and both are three times slower.
		const deadlineMs = performance.now() + 30_000;
		while (sink.count < counts.ring) {
			if (reader.read(batch, visit) > 0) continue;
			if (performance.now() > deadlineMs) throw new Error(`the writing thread has stopped after ${sink.count} records`);
			shortPause();
		}
	});
}

function overPort(count: number, recordsPerMessage: number): Promise<Figures> {
	const readBytes = new SharedArrayBuffer(4);
	const read = new Int32Array(readBytes);
	const sink = new RecordSink();
	return withThread(
		{ kind: "port", readBytes, count, recordsPerMessage },
		(worker) =>
			new Promise<void>((resolve, reject) => {
				worker.once("error", reject);
				worker.on("message", (bytes: Uint8Array) => {
					const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
					for (let at = 0; at < bytes.length; at += recordBytes) sink.read(view, at, at + recordBytes);
					Atomics.add(read, 0, bytes.length);
					Atomics.notify(read, 0);
					if (sink.count === count) resolve();
				});
			}),
	);
}

function oneThread(): Figures {
	const ring = newRing();
	const writer = new RingWriter(ring);
	const reader = new RingReader(ring, 0);
	reader.join();
	const source = new RecordSource();
	const sink = new RecordSink();
	const visit = (_u8: Uint8Array, view: DataView, start: number, end: number): void => sink.read(view, start, end);
	const startMs = performance.now();
	while (sink.count < counts.oneThread) {
		for (let n = 0; n < batch; n++) writer.write(source.next());
		reader.read(batch, visit);
	}
	return figures(counts.oneThread, startMs);
}
