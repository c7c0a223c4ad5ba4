/**
 * Joins, reads a few records, leaves, and so on until told to stop. Between a join and the leave it must see an unbroken
 * run of intact records.
 */
import { parentPort, workerData } from "node:worker_threads";
import { attachRing, RingReader } from "@shardcast/ring";
import { Control, checkRecord, mix } from "./pattern.mjs";

const { buffer, controlBuffer, slot, seed, deadlineMs } = workerData;
const ring = attachRing(buffer);
const control = new Int32Array(controlBuffer);
const pause = new Int32Array(new SharedArrayBuffer(4));
const reader = new RingReader(ring, slot);

let stays = 0;
let records = 0;
let last;
const visit = (u8, _view, start, end) => {
	const n = checkRecord(ring.words, u8, start, end, seed, ring.recordBytesMax);
	if (n instanceof Error) throw n;
	if (last !== undefined && n !== last + 1) throw new Error(`record ${n} after ${last}`);
	last = n;
	records++;
};

const deadline = performance.now() + deadlineMs;
while (Atomics.load(control, Control.stop) === 0) {
	if (performance.now() > deadline) throw new Error(`not told to stop after ${deadlineMs} ms`);
	reader.join();
	last = undefined;
	let wanted = (mix(seed, stays) >>> 0) % 100;
	while (wanted > 0 && Atomics.load(control, Control.stop) === 0) {
		const visited = reader.read(wanted, visit);
		if (visited === 0) Atomics.wait(pause, 0, 0, 0.02);
		wanted -= visited;
	}
	reader.leave();
	stays++;
}
parentPort.postMessage({ stays, records });
