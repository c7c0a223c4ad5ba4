import { setTimeout as delay } from "node:timers/promises";
import { stressed } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { registerReader, releaseReader } from "../src/reader-slots.ts";
import { newRing, seed } from "./fixtures.ts";
import { Control, firstNumber, mix } from "./programs/pattern.mjs";
import { deadlineMs, startThread, terminateThreads, until, writeEnd } from "./threads.ts";

interface ReaderReport {
	readonly runs: readonly (readonly [number, number])[];
}

const newControl = () => new SharedArrayBuffer(64);

describe(`a ring whose threads are terminated at random points (seed ${seed})`, () => {
	afterEach(terminateThreads);

	/**
	 * Legal outcomes, of each writer in the row: readers have all that it knows to have published, or one record more (it died
	 * between publishing and knowing); gap-free from its first record on; the same for every reader; then its successor's.
	 */
	it("goes on with a new writer each time, and readers see an unbroken prefix of what each has written", async () => {
		const writers = stressed(15);
		const readers = 2;
		const ring = newRing({ capacityBytes: 2 ** 14, readersMax: readers, startPosition: 2 ** 31 - 2 ** 18 });
		const buffer = ring.u8.buffer;
		for (let slot = 0; slot < readers; slot++) registerReader(ring, slot);
		const reading = Array.from({ length: readers }, (_, slot) => startThread<ReaderReport>("reader", { buffer, slot, seed, deadlineMs }));
		const acknowledged: number[] = [];
		for (let incarnation = 0; incarnation < writers; incarnation++) {
			const controlBuffer = newControl();
			const control = new Int32Array(controlBuffer);
			const { worker } = startThread("writer", { buffer, controlBuffer, seed, deadlineMs, incarnation });
			await until(() => Atomics.load(control, Control.acknowledged) > 0, `writer ${incarnation} begins`);
			await delay((mix(seed, incarnation) >>> 0) % 20);
			await worker.terminate();
			acknowledged.push(control[Control.acknowledged]);
		}
		await writeEnd(ring, seed);
		const [runs, ...others] = await Promise.all(reading.map(async ({ report }) => (await report).runs));
		for (const other of others) expect(other).toEqual(runs);
		expect(runs.map(([first]) => first)).toEqual(acknowledged.map((_, incarnation) => firstNumber(incarnation)));
		runs.forEach(([first, last], incarnation) => {
			expect([acknowledged[incarnation], acknowledged[incarnation] + 1]).toContain(last - first + 1);
		});
	});

	/**
	 * Legal outcomes: the reader that stays gets everything once; one that takes over a slot begins within the batch that its
	 * predecessor died in, at most one batch back and never further on, and goes on without a gap.
	 */
	it("keeps for a reader's successor what the dead one had not finished, and everything for the others", { tags: ["long"] }, async () => {
		const batchMax = 64;
		const ring = newRing({ capacityBytes: 2 ** 14, readersMax: 2 });
		const buffer = ring.u8.buffer;
		const writerControl = newControl();
		registerReader(ring, 0);
		registerReader(ring, 1);
		const staying = startThread<ReaderReport>("reader", { buffer, slot: 0, seed, deadlineMs });
		const writing = startThread<{ written: number }>("writer", { buffer, controlBuffer: writerControl, seed, deadlineMs });
		let lastSeen = 0;
		const takeOver = () => {
			const controlBuffer = newControl();
			const control = new Int32Array(controlBuffer);
			return { control, thread: startThread<ReaderReport>("reader", { buffer, controlBuffer, slot: 1, seed, batchMax, deadlineMs }) };
		};
		const expectTakenOver = (control: Int32Array): void => {
			expect(control[Control.firstSeen]).toBeLessThanOrEqual(lastSeen + 1);
			expect(control[Control.firstSeen]).toBeGreaterThanOrEqual(lastSeen + 1 - batchMax);
		};
		for (let death = 0; death < stressed(12); death++) {
			const { control, thread } = takeOver();
			await until(() => Atomics.load(control, Control.lastSeen) > 0, `reader ${death} begins`);
			await delay((mix(seed, death) >>> 0) % 20);
			await thread.worker.terminate();
			expectTakenOver(control);
			lastSeen = control[Control.lastSeen];
		}
		const { control, thread } = takeOver();
		// Only then the writer stops: the dead reader may have read all that there is.
		await until(() => Atomics.load(control, Control.lastSeen) > 0, "the last reader begins");
		Atomics.store(new Int32Array(writerControl), Control.stop, 1);
		const { written } = await writing.report;
		await writeEnd(ring, seed);
		const [[first, last], ...gaps] = (await thread.report).runs;
		expectTakenOver(control);
		expect([first + 1, last, gaps]).toEqual([control[Control.firstSeen], written - 1, []]);
		expect(await staying.report).toEqual({ runs: [[0, written - 1]] });
	});

	// Legal: the writer stands still for as long as the dead reader's slot is live, and not a moment longer.
	it("stands still for a reader that died, until its slot is released", async () => {
		const ring = newRing({ capacityBytes: 2 ** 12, readersMax: 2 });
		const buffer = ring.u8.buffer;
		const controlBuffer = newControl();
		const control = new Int32Array(controlBuffer);
		registerReader(ring, 0);
		registerReader(ring, 1);
		const staying = startThread<ReaderReport>("reader", { buffer, slot: 0, seed, deadlineMs });
		const mortal = startThread("reader", { buffer, slot: 1, seed, deadlineMs });
		const writing = startThread<{ written: number }>("writer", { buffer, controlBuffer, seed, deadlineMs });
		await until(() => Atomics.load(control, Control.acknowledged) > 1000, "both read");
		await mortal.worker.terminate();
		let written = -1;
		let looks = 0;
		// On a busy machine a writer that only waits for a core stands still as well, but not for so many turns of this thread.
		await until(() => {
			const now = Atomics.load(control, Control.acknowledged);
			looks = now === written ? looks + 1 : 0;
			written = now;
			return looks > 400;
		}, "the writer finds the ring full");
		await delay(20);
		expect(Atomics.load(control, Control.acknowledged)).toBe(written);
		releaseReader(ring, 1);
		await until(() => Atomics.load(control, Control.acknowledged) > written + 1000, "the writer goes on");
		Atomics.store(control, Control.stop, 1);
		const total = (await writing.report).written;
		await writeEnd(ring, seed);
		expect(await staying.report).toEqual({ runs: [[0, total - 1]] });
	});
});
