import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { Frame } from "../../src/buffers/frame.ts";
import { ClientIntake } from "../../src/clients/client-intake.ts";
import { Bandwidth } from "../../src/flow/bandwidth.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("what a client that has gone left waiting is passed on for 10 seconds; the rest is dropped and counted, and its memory is free", () => {
	const nowMs = () => Date.now();
	const pool = new BufferPool();
	const [passed, dropped] = [vi.fn(), vi.fn()];
	const budget = new HeldBudget();
	const intake = new ClientIntake({ bandwidth: new Bandwidth(100, nowMs()), budget, waiting: new Set(), nowMs, pass: passed, dropped });
	for (let count = 0; count < 20; count++) {
		const frame = pool.take(100)!;
		frame.fill(Buffer.alloc(100, FrameClass.FILE));
		frame.seal(7, 1);
		if (intake.admit(frame) === "now") passed(frame);
		frame.release();
	}
	expect(passed).toHaveBeenCalledTimes(1);
	intake.leave();
	vi.advanceTimersByTime(9990);
	expect(passed).toHaveBeenCalledTimes(11);
	expect(dropped).not.toHaveBeenCalled();
	vi.advanceTimersByTime(3_600_000);
	expect(dropped).toHaveBeenCalledTimes(9);
	expect(passed).toHaveBeenCalledTimes(11);
	expect(pool.inUse).toBe(0);
	expect(budget.frames).toBe(0);
});

/** An intake with a limit of 100 bytes/s, and what it passes on, such as "file 3". */
function intakeOf(bytesPerSecond = 100) {
	const nowMs = () => Date.now();
	const pool = new BufferPool();
	const passed: string[] = [];
	const waiting = new Set<ClientIntake>();
	const pass = (frame: Frame) =>
		passed.push(`${frame.frameClass === FrameClass.CONTROL ? "control" : "file"} ${frame.bytes[frame.end - 1]}`);
	const parts = { bandwidth: new Bandwidth(bytesPerSecond, nowMs()), budget: new HeldBudget(), waiting, nowMs, pass, dropped: vi.fn() };
	const intake = new ClientIntake(parts);
	const admit = (frameClass: FrameClass, number: number, bytes = 100) => {
		const frame = pool.take(bytes)!;
		frame.fill(Buffer.alloc(bytes, number));
		frame.bytes[Frame.payloadAt] = frameClass;
		frame.seal(7, 1);
		const admitted = intake.admit(frame);
		if (admitted === "now") pass(frame);
		frame.release();
		return admitted;
	};
	return { intake, passed, waiting, pool, admit, dropped: parts.dropped };
}

it("CONTROL does not wait behind FILE, and keeps its order", () => {
	const { passed, admit } = intakeOf();
	for (let number = 1; number <= 4; number++) admit(FrameClass.FILE, number);
	expect(passed).toEqual(["file 1"]);
	expect(admit(FrameClass.CONTROL, 1, 40)).toBe("now");
	expect(admit(FrameClass.CONTROL, 2, 40)).toBe("now");
	// Its part of the bandwidth is used up.
	expect(admit(FrameClass.CONTROL, 3, 40)).toBe("later");
	vi.advanceTimersByTime(500);
	expect(admit(FrameClass.CONTROL, 4, 40), "though there is bandwidth for it").toBe("later");
	vi.advanceTimersByTime(60_000);
	expect(passed.filter((name) => name.startsWith("control"))).toEqual(["control 1", "control 2", "control 3", "control 4"]);
	expect(passed.filter((name) => name.startsWith("file"))).toEqual(["file 1", "file 2", "file 3", "file 4"]);
});

it("a limit that is lifted lets go what waits for the old one", () => {
	const { intake, passed, waiting, pool, admit } = intakeOf(1);
	admit(FrameClass.FILE, 1, 100_000);
	for (let number = 2; number <= 4; number++) admit(FrameClass.FILE, number);
	expect(waiting.size).toBe(1);
	intake.bytesPerSecond = 0;
	expect(passed).toEqual(["file 1", "file 2", "file 3", "file 4"]);
	expect(waiting.size).toBe(0);
	expect(pool.inUse).toBe(0);
	expect(admit(FrameClass.FILE, 5)).toBe("now");
});

it("what comes after its client has gone, since it waited for its turn, has 10 seconds as well", () => {
	const { intake, passed, waiting, pool, admit, dropped } = intakeOf();
	intake.leave();
	for (let number = 1; number <= 20; number++) admit(FrameClass.FILE, number);
	vi.advanceTimersByTime(9990);
	expect([passed.length, dropped.mock.calls.length]).toEqual([11, 0]);
	vi.advanceTimersByTime(11);
	expect([passed.length, dropped.mock.calls.length, pool.inUse, waiting.size]).toEqual([11, 9, 0, 0]);
});
