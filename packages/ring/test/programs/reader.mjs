/**
 * Takes over a registered slot, reads up to the end record and checks every byte. Reports the unbroken runs of sequence
 * numbers that it saw: `[first, last]` each.
 */
import { parentPort, workerData } from "node:worker_threads";
import { attachRing, RingReader } from "@shardcast/ring";
import { Control, checkRecord, endNumber, mix } from "./pattern.mjs";

const { buffer, controlBuffer, slot, seed, deadlineMs, batchMax = 64 } = workerData;
const ring = attachRing(buffer);
const control = controlBuffer && new Int32Array(controlBuffer);
const pause = new Int32Array(new SharedArrayBuffer(4));
const reader = new RingReader(ring, slot);
if (!reader.resume()) throw new Error(`slot ${slot} is not registered`);

const runs = [];
let run;
let ended = false;
const visit = (u8, _view, start, end) => {
	if (ended) throw new Error("a record after the end record");
	const n = checkRecord(ring.words, u8, start, end, seed, ring.recordBytesMax);
	if (n instanceof Error) throw n;
	if (control) {
		Atomics.compareExchange(control, Control.firstSeen, 0, n + 1);
		Atomics.store(control, Control.lastSeen, n + 1);
	}
	if (n === endNumber) ended = true;
	else if (run && n === run[1] + 1) run[1] = n;
	else {
		run = [n, n];
		runs.push(run);
	}
};

const deadline = performance.now() + deadlineMs;
for (let turn = 0; !ended; turn++) {
	if (reader.read(1 + ((mix(seed, turn) >>> 0) % batchMax), visit) > 0) continue;
	Atomics.wait(pause, 0, 0, 0.05);
	if (performance.now() > deadline) throw new Error(`no end record after ${deadlineMs} ms; runs: ${JSON.stringify(runs)}`);
}
parentPort.postMessage({ runs });
