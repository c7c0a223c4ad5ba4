import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
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
	const intake = new ClientIntake({ bandwidth: new Bandwidth(100, nowMs()), budget, nowMs, pass: passed, dropped });
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
