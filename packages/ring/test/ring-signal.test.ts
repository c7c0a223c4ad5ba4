import { afterEach, describe, expect, it, vi } from "vitest";
import { RingErrorCode } from "../src/ring-error.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingSignal, signalBytes } from "../src/ring-signal.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { newRing, payload } from "./fixtures.ts";
import { interleaved } from "./interleave.ts";

const newSignal = () => new RingSignal(new SharedArrayBuffer(signalBytes));
const nothing = () => false;

describe("RingSignal", () => {
	afterEach(() => {
		vi.restoreAllMocks();
	});

	it("does not sleep when there is something", async () => {
		const waitAsync = vi.spyOn(Atomics, "waitAsync");
		expect(await newSignal().sleep(() => true, 10_000)).toBe(true);
		expect(waitAsync).not.toHaveBeenCalled();
	});

	it("sleeps until woken, again and again", async () => {
		const signal = newSignal();
		for (let n = 0; n < 100; n++) {
			const sleep = signal.sleep(nothing, 10_000);
			signal.wake();
			expect(await sleep).toBe(true);
		}
	});

	it("sleeps no longer than its deadline", async () => {
		const signal = newSignal();
		const start = performance.now();
		expect(await signal.sleep(nothing, 30)).toBe(false);
		expect(performance.now() - start).toBeGreaterThan(25);
		// And has told the other side so: nobody is notified for nothing.
		const notify = vi.spyOn(Atomics, "notify");
		signal.wake();
		expect(notify).not.toHaveBeenCalled();
	});

	it("costs the waker one load while the other side is awake", () => {
		const load = vi.spyOn(Atomics, "load");
		const compareExchange = vi.spyOn(Atomics, "compareExchange");
		const signal = newSignal();
		for (let n = 0; n < 10; n++) signal.wake();
		expect(load).toHaveBeenCalledTimes(10);
		expect(compareExchange).not.toHaveBeenCalled();
	});

	it("leaves no timer behind when it is woken", async () => {
		vi.useFakeTimers();
		try {
			const signal = newSignal();
			const sleep = signal.sleep(nothing, 10_000);
			expect(vi.getTimerCount()).toBe(1);
			signal.wake();
			await sleep;
			expect(vi.getTimerCount()).toBe(0);
		} finally {
			vi.useRealTimers();
		}
	});

	// The legal outcome of each: the sleeper is up, long before its deadline. A lost wake-up would end in false.
	it("loses no wake-up, at whatever step of the sleeper the writer writes and wakes", async () => {
		let tried = 0;
		for (let step = 0; ; step++) {
			const { reader, writer, signal } = pair();
			const { result, reached } = interleaved(
				() => signal.sleep(() => reader.hasRecords(), 500),
				step,
				() => {
					writer.write(payload(1, 8));
					signal.wake();
				},
			);
			if (!reached) {
				signal.wake();
				await result;
				break;
			}
			expect(await result, `step ${step}`).toBe(true);
			expect(reader.hasRecords()).toBe(true);
			tried++;
		}
		expect(tried).toBeGreaterThanOrEqual(3);
	});

	it("loses no wake-up, at whatever step of the writer the sleeper goes to sleep", async () => {
		let tried = 0;
		for (let step = 0; ; step++) {
			const { reader, writer, signal } = pair();
			let sleep: Promise<boolean> | undefined;
			const { reached } = interleaved(
				() => {
					writer.write(payload(1, 8));
					signal.wake();
				},
				step,
				() => {
					sleep = signal.sleep(() => reader.hasRecords(), 500);
				},
			);
			if (!reached) break;
			expect(await sleep, `step ${step}`).toBe(true);
			tried++;
		}
		expect(tried).toBeGreaterThanOrEqual(2);
	});

	it.each([-4, 2, 4])("refuses memory that it does not fit into, from byte %d", (byteOffset) => {
		const act = () => new RingSignal(new SharedArrayBuffer(signalBytes), byteOffset);
		expect(act).toThrow(expect.objectContaining({ code: RingErrorCode.badArgument }));
	});
});

function pair() {
	const ring = newRing();
	const reader = new RingReader(ring, 0);
	reader.join();
	return { reader, writer: new RingWriter(ring), signal: newSignal() };
}
