import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StageFollower } from "../../src/thread/stage-follower.ts";

class FakeClients {
	connecting = 0;
	readonly wanted: number[] = [];
	givenUpAfter = 0;
	halts = 0;

	want(count: number): void {
		this.wanted.push(count);
	}
	giveUpAfter(connectMs: number): void {
		this.givenUpAfter = connectMs;
	}
	halt(): void {
		this.halts++;
	}
}

describe("StageFollower", () => {
	beforeEach(() => void vi.useFakeTimers());
	afterEach(() => void vi.useRealTimers());
	const stages = [
		{ from: 4, to: 24, ms: 1000 },
		{ from: 10, to: 10, ms: 500 },
	];
	const options = { stages, receiver: 1, receivers: 2, others: 4, inFlight: 8, connectMs: 5000 };

	it("wants its share of the clients at each time, without those that are there already", async () => {
		const clients = new FakeClients();
		const run = new StageFollower(clients, options).run();
		await vi.advanceTimersByTimeAsync(1600);
		await run;
		expect(clients.wanted[0]).toBe(0);
		expect(Math.max(...clients.wanted)).toBe(9); // 23 of 24 at the last look, 19 without the others
		expect(clients.wanted.at(-1)).toBe(3);
		expect(clients).toMatchObject({ givenUpAfter: 5000, halts: 1 });
		expect(vi.getTimerCount()).toBe(0);
	});

	it("waits at the end for connections that have no answer yet, and not when it is halted", async () => {
		const clients = new FakeClients();
		clients.connecting = 1;
		let [isOver, isHalted] = [false, false];
		void new StageFollower(clients, options).run().then(() => {
			isOver = true;
		});
		const halted = new StageFollower(clients, options);
		void halted.run().then(() => {
			isHalted = true;
		});
		halted.halt();
		await vi.advanceTimersByTimeAsync(100);
		expect({ isOver, isHalted }).toEqual({ isOver: false, isHalted: true });
		await vi.advanceTimersByTimeAsync(3000);
		expect(isOver).toBe(false);
		clients.connecting = 0;
		await vi.advanceTimersByTimeAsync(100);
		expect(isOver).toBe(true);
	});
});
