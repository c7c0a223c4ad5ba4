import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { stressed } from "@shardcast/testkit";
import type { Ring } from "../src/ring.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { endNumber, fillRecord, sizeOf } from "./programs/pattern.mjs";

/** Far longer than any test here takes, and shorter than Vitest's own limit, which would not say who hangs. */
export const deadlineMs = stressed(60_000);

interface Thread<Report> {
	readonly worker: Worker;
	/** What the program posts at its end; rejects when it throws, or exits without a word. */
	readonly report: Promise<Report>;
}

const started = new Set<Worker>();
/** What rejects the reports that are still awaited. */
const awaited = new Set<(error: Error) => void>();
let failure: Error | undefined;

/** When one thread fails, the others may wait for it for ever: all reports end with its error, which is the one to read. */
function fail(error: Error): void {
	failure ??= error;
	for (const reject of awaited) reject(failure);
}

/** Starts `test/programs/<program>.mjs` as a thread; it loads the ring from `dist`, as all threads do in production. */
export function startThread<Report>(program: string, data: object): Thread<Report> {
	// Without Vitest's own flags, which make packages resolve to their TypeScript sources.
	const worker = new Worker(join(import.meta.dirname, "programs", `${program}.mjs`), { workerData: data, execArgv: [] });
	started.add(worker);
	const report = new Promise<Report>((resolve, reject) => {
		awaited.add(reject);
		worker.once("message", resolve);
		worker.once("error", fail);
		worker.once("exit", (status) => {
			started.delete(worker);
			awaited.delete(reject);
			reject(new Error(`${program} exited with ${status} before it reported`));
		});
	});
	// Nobody awaits the report of a thread that is terminated on purpose.
	report.catch(() => {});
	return { worker, report };
}

/** After each test: what failed half-way leaves no thread behind. */
export async function terminateThreads(): Promise<void> {
	await Promise.all([...started].map((worker) => worker.terminate()));
	failure = undefined;
}

/** Fails as soon as a thread does, and after the deadline. */
export async function until(condition: () => boolean, what: string): Promise<void> {
	const deadline = performance.now() + deadlineMs;
	while (!condition()) {
		if (failure) throw failure;
		if (performance.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`);
		await delay(1);
	}
}

/** Ends the stream of a ring whose writer is gone: this thread is its successor. */
export async function writeEnd(ring: Ring, seed: number): Promise<void> {
	const writer = new RingWriter(ring);
	const bytes = sizeOf(seed, endNumber, ring.recordBytesMax);
	let at = -1;
	await until(() => {
		at = writer.claim(bytes);
		return at >= 0;
	}, "room for the end record");
	fillRecord(ring.words, ring.u8, at, bytes, seed, endNumber);
	writer.commit();
}
