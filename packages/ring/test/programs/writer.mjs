/**
 * Writes `count` records, or until told to stop. With `incarnation` it may be terminated anywhere: what it has published
 * stands in the control words.
 */
import { parentPort, workerData } from "node:worker_threads";
import { attachRing, RingWriter } from "@shardcast/ring";
import { Control, fillRecord, firstNumber, sizeOf } from "./pattern.mjs";

const { buffer, controlBuffer, seed, deadlineMs, incarnation = 0, count = Number.POSITIVE_INFINITY } = workerData;
const ring = attachRing(buffer);
const control = new Int32Array(controlBuffer);
const pause = new Int32Array(new SharedArrayBuffer(4));
const writer = new RingWriter(ring);
const first = firstNumber(incarnation);

const deadline = performance.now() + deadlineMs;
let written = 0;
while (written < count && Atomics.load(control, Control.stop) === 0) {
	const n = first + written;
	const bytes = sizeOf(seed, n, ring.recordBytesMax);
	const at = writer.claim(bytes);
	if (at < 0) {
		if (performance.now() > deadline) throw new Error(`still full after ${deadlineMs} ms, at record ${n}`);
		Atomics.wait(pause, 0, 0, 0.05);
		continue;
	}
	fillRecord(ring.words, ring.u8, at, bytes, seed, n);
	writer.commit();
	written++;
	Atomics.store(control, Control.acknowledged, written);
}
parentPort.postMessage({ written, backpressured: writer.backpressuredCount });
