/** Writes in bursts with pauses, wakes the reader after each, and sleeps while the ring is full until the reader wakes it. */
import { parentPort, workerData } from "node:worker_threads";
import { attachRing, RingSignal, RingWriter } from "@shardcast/ring";
import { endNumber, fillRecord, mix, sizeOf } from "./pattern.mjs";

const { buffer, signalBuffer, seed, count, deadlineMs } = workerData;
const ring = attachRing(buffer);
const records = new RingSignal(signalBuffer, 0);
const room = new RingSignal(signalBuffer, signalBuffer.byteLength / 2);
const writer = new RingWriter(ring);

let sleeps = 0;
const write = async (n) => {
	const bytes = sizeOf(seed, n, ring.recordBytesMax);
	let at = writer.claim(bytes);
	while (at < 0) {
		sleeps++;
		records.wake();
		if (!(await room.sleep(() => writer.depthBytes() < ring.capacityBytes / 2, deadlineMs)))
			throw new Error(`writer: lost a wake-up before record ${n}`);
		at = writer.claim(bytes);
	}
	fillRecord(ring.words, ring.u8, at, bytes, seed, n);
	writer.commit();
};

for (let n = 0; n < count; ) {
	const random = mix(seed, ~n) >>> 0;
	const burst = (random & 3) === 0 ? 1 + (random >>> 27) : 1;
	for (let i = 0; i < burst && n < count; i++) await write(n++);
	records.wake();
	// 0 … 10 µs, about what the reader takes to go to sleep: the two meet at every step of it.
	const until = performance.now() + (random & 255) / 25_600;
	while (performance.now() < until);
}
await write(endNumber);
records.wake();
parentPort.postMessage({ sleeps });
