import { parentPort, workerData } from "node:worker_threads";
import { attachRing, RingWriter } from "@shardcast/ring";
import { RecordSource, type RingThreadTask, recordBytes, shortPause, windowBytes } from "./ring-records.ts";

/** The writing thread of the ring bench: reports that it is ready, waits for the start signal, and writes as fast as the reader reads. */
const task = workerData as RingThreadTask;
const source = new RecordSource();
const port = parentPort!;

port.once("message", () => {
	if (task.kind === "ring") overRing(task.buffer, task.count);
	else overPort(new Int32Array(task.readBytes), task.count, task.recordsPerMessage);
});
port.postMessage("up");

function overRing(buffer: SharedArrayBuffer, count: number): void {
	const writer = new RingWriter(attachRing(buffer));
	for (let written = 0; written < count; written++) {
		const record = source.next();
		while (!writer.write(record)) shortPause();
	}
}

/** Copied by postMessage. `readBytes` keeps as much under way as the ring holds, for a port has no bound. */
function overPort(readBytes: Int32Array, count: number, recordsPerMessage: number): void {
	const bytes = new Uint8Array(recordsPerMessage * recordBytes);
	for (let written = 0; written < count; written += recordsPerMessage) {
		for (let at = 0; at < bytes.length; at += recordBytes) bytes.set(source.next(), at);
		while (written * recordBytes - Atomics.load(readBytes, 0) >= windowBytes) Atomics.wait(readBytes, 0, Atomics.load(readBytes, 0), 1);
		port.postMessage(bytes);
	}
}
