import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { stressed } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { registerReader } from "../src/reader-slots.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingSignal, signalBytes } from "../src/ring-signal.ts";
import { newRing, seed } from "./fixtures.ts";
import { Control, checkRecord, endNumber } from "./programs/pattern.mjs";
import { deadlineMs, startThread, terminateThreads, writeEnd } from "./threads.ts";

interface ReaderReport {
	readonly runs: readonly (readonly [number, number])[];
}

interface WriterReport {
	readonly written: number;
	readonly backpressured: number;
}

const newControl = () => new SharedArrayBuffer(64);

describe(`a ring between threads (seed ${seed})`, () => {
	afterEach(terminateThreads);

	// The one legal outcome for a reader that was registered before the first record: all of them, once, in order, intact.
	it.each([
		{ readers: 1, count: stressed(500_000), capacityBytes: 2 ** 18, startPosition: 0 },
		{ readers: 3, count: stressed(300_000), capacityBytes: 2 ** 16, startPosition: 2 ** 31 - 2 ** 20 },
		{ readers: 2, count: stressed(100_000), capacityBytes: 2 ** 10, startPosition: -(2 ** 16) },
	])("brings $count records of random sizes to $readers readers through $capacityBytes bytes", async (setup) => {
		const { readers, count, capacityBytes, startPosition } = setup;
		const ring = newRing({ capacityBytes, readersMax: 4, startPosition });
		const buffer = ring.u8.buffer;
		for (let slot = 0; slot < readers; slot++) registerReader(ring, slot);
		const reading = Array.from({ length: readers }, (_, slot) => startThread<ReaderReport>("reader", { buffer, slot, seed, deadlineMs }));
		const writing = startThread<WriterReport>("writer", { buffer, controlBuffer: newControl(), seed, deadlineMs, count });
		const { written, backpressured } = await writing.report;
		expect(written).toBe(count);
		await writeEnd(ring, seed);
		for (const { report } of reading) expect(await report).toEqual({ runs: [[0, count - 1]] });
		// Else the test was none of flow control.
		expect(backpressured).toBeGreaterThan(0);
	});

	// A hopper's legal outcome is checked by itself: each stay is one unbroken run of intact records.
	it("lets readers come and go at any moment, and keeps everything for the one that stays", { tags: ["long"] }, async () => {
		const count = stressed(200_000);
		const ring = newRing({ capacityBytes: 2 ** 11, readersMax: 4 });
		const buffer = ring.u8.buffer;
		const controlBuffer = newControl();
		registerReader(ring, 0);
		const staying = startThread<ReaderReport>("reader", { buffer, slot: 0, seed, deadlineMs });
		const hoppers = [1, 2].map((slot) =>
			startThread<{ stays: number; records: number }>("hopper", { buffer, controlBuffer, slot, seed, deadlineMs }),
		);
		const writing = startThread<WriterReport>("writer", { buffer, controlBuffer, seed, deadlineMs, count });
		expect((await writing.report).written).toBe(count);
		Atomics.store(new Int32Array(controlBuffer), Control.stop, 1);
		const hops = await Promise.all(hoppers.map(({ report }) => report));
		await writeEnd(ring, seed);
		expect(await staying.report).toEqual({ runs: [[0, count - 1]] });
		for (const { stays, records } of hops) {
			expect(stays).toBeGreaterThan(100);
			expect(records).toBeGreaterThan(1000);
		}
	});

	// Legal: each sleep, on either side, ends by a wake-up or finds something. One that ends by its deadline was lost.
	it("loses no wake-up between a worker that writes and an event loop that reads", async () => {
		const count = stressed(100_000);
		const ring = newRing({ capacityBytes: 2 ** 12, readersMax: 1 });
		const reader = new RingReader(ring, 0);
		reader.join();
		const signalBuffer = new SharedArrayBuffer(2 * signalBytes);
		const records = new RingSignal(signalBuffer, 0);
		const room = new RingSignal(signalBuffer, signalBytes);
		const writing = startThread<{ sleeps: number }>("sleepy-writer", {
			buffer: ring.u8.buffer,
			signalBuffer,
			seed,
			count,
			deadlineMs: 10_000,
		});
		let next = 0;
		let ended = false;
		let sleeps = 0;
		while (!ended) {
			const visited = reader.read(64, (u8, _view, start, end) => {
				const n = checkRecord(ring.words, u8, start, end, seed, ring.recordBytesMax);
				if (n === endNumber) ended = true;
				else if (n !== next++) throw n instanceof Error ? n : new Error(`record ${n} instead of ${next - 1}`);
			});
			if (visited > 0) room.wake();
			else {
				sleeps++;
				// The writer's own complaint comes first when it is the one that hangs.
				const woken = await records.sleep(() => reader.hasRecords(), 15_000);
				if (!woken) await writing.report;
				expect(woken, `sleep ${sleeps}, before record ${next}`).toBe(true);
			}
		}
		expect(next).toBe(count);
		expect(sleeps).toBeGreaterThan(1000);
		expect((await writing.report).sleeps).toBeGreaterThan(10);
	});

	it("keeps a process alive that does nothing but sleep, until the deadline", async () => {
		const program = join(import.meta.dirname, "programs/lonely-sleeper.mjs");
		const { stdout } = await promisify(execFile)(process.execPath, [program], { timeout: deadlineMs });
		expect(stdout).toBe("false\n");
	});
});
