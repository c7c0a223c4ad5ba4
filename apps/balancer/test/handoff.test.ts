import { Scoreboard, ShardState } from "@shardcast/bus";
import { NativeError } from "@shardcast/native";
import { monotonicMs } from "@shardcast/wire";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Handoff } from "../src/handoff.ts";
import type { Candidate } from "../src/pick.ts";

/** A shard's socket with switches for what can go wrong. */
class FakeChannel {
	readonly messages: number[][] = [];
	room = Number.POSITIVE_INFINITY;
	error: Error | null = null;
	closed = false;

	send(fds: readonly number[]): boolean {
		if (this.error !== null) throw this.error;
		if (this.messages.length >= this.room) return false;
		this.messages.push([...fds]);
		return true;
	}

	close(): void {
		this.closed = true;
	}
}

describe("handoff", () => {
	let board: Scoreboard;
	let channels: FakeChannel[];
	let candidates: Candidate[];
	let closed: number[];
	let returned: number[];
	let gone: number[];
	let counts: Record<string, number>;
	let announced: { slot: number; sentByThen: number }[];
	let handoff: Handoff;

	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		board = Scoreboard.inMemory(2);
		channels = [new FakeChannel(), new FakeChannel()];
		closed = [];
		returned = [];
		gone = [];
		counts = {};
		announced = [];
		candidates = [0, 1].map((slot) => {
			const row = board.row(slot);
			row.state = ShardState.serving;
			row.incarnation = 1;
			const rest = { young: 0, youngBefore: 0, shunnedUntilMs: 0, load: 0, seats: 0, max: 10, serving: true, silent: false };
			return { row, incarnation: 1, own: 0, ownUpgrades: 0, ...rest };
		});
		handoff = new Handoff({
			openChannel: (slot) => channels[slot],
			announce: (slot) => announced.push({ slot, sentByThen: board.row(slot).handoffsSent }),
			closeDescriptor: (fd) => closed.push(fd),
			count: (counter, amount) => {
				counts[counter] = (counts[counter] ?? 0) + amount;
			},
			handoffMs: board.balancer.histograms.handoffMs,
			onReturn: (fd) => returned.push(fd),
			onGone: ({ row }) => gone.push(row.slot),
		});
	});

	afterEach(() => {
		vi.useRealTimers();
	});

	function put(slot: number, ...fds: number[]): void {
		for (const fd of fds) handoff.put(candidates[slot], fd, monotonicMs());
	}

	const range = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index);

	it("collects what is put during a turn and sends it in one message per shard", () => {
		put(0, 10, 11);
		put(1, 12);
		put(0, 13);
		expect(channels[0].messages).toEqual([]);
		expect(candidates.map(({ own }) => own)).toEqual([3, 1]);
		handoff.flush();
		expect(channels.map(({ messages }) => messages)).toEqual([[[10, 11, 13]], [[12]]]);
		expect(candidates.map(({ own }) => own)).toEqual([0, 0]);
		expect(closed.sort()).toEqual([10, 11, 12, 13]);
		expect(counts).toEqual({ handedOff: 4 });
		expect(board.balancer.histograms.handoffMs.read().count).toBe(4);
	});

	it("counts as sent before it wakes the shard, once per message", () => {
		put(0, ...range(10, 100));
		handoff.flush();
		expect(channels[0].messages.map(({ length }) => length)).toEqual([64, 36]);
		expect(announced).toEqual([
			{ slot: 0, sentByThen: 64 },
			{ slot: 0, sentByThen: 100 },
		]);
	});

	it("keeps what a full socket does not take, in order, and tries again", () => {
		channels[0].room = 1;
		put(0, ...range(10, 130));
		handoff.flush();
		expect(handoff.waiting).toBe(66);
		expect(candidates[0].own).toBe(66);
		expect(closed).toEqual(range(10, 64));
		channels[0].room = 2;
		vi.advanceTimersByTime(1);
		channels[0].room = 9;
		put(0, 500);
		vi.advanceTimersByTime(1);
		expect(channels[0].messages.flat()).toEqual([...range(10, 130), 500]);
		expect(handoff.waiting).toBe(0);
		expect(counts).toEqual({ handedOff: 131, sendRetries: 2 });
		expect(vi.getTimerCount()).toBe(0);
	});

	it("tries a socket that stays full less and less often, whatever comes meanwhile, and sends soon after there is room", () => {
		channels[0].room = 0;
		put(0, 10);
		handoff.flush();
		for (let ms = 0; ms < 10_000; ms++) {
			if (ms % 100 === 0) {
				put(0, 100 + ms);
				put(1, 20_000 + ms);
				handoff.flush();
			}
			vi.advanceTimersByTime(1);
		}
		expect(counts.sendRetries).toBeLessThan(400);
		expect(channels[1].messages).toHaveLength(100);
		channels[0].room = 9;
		vi.advanceTimersByTime(32);
		expect(channels[0].messages.flat()).toHaveLength(101);
		expect(vi.getTimerCount()).toBe(0);
		// The next full socket is tried again at once.
		channels[0].room = channels[0].messages.length;
		put(0, 11);
		handoff.flush();
		channels[0].room = 99;
		vi.advanceTimersByTime(1);
		expect(handoff.waiting).toBe(0);
	});

	it.each(["ECONNREFUSED", "ENOENT"])("gives connections back when nobody receives them: %s", (code) => {
		channels[0].error = new NativeError(code, "sendmsg", "gone");
		put(0, 10, 11);
		put(1, 12);
		handoff.flush();
		expect(returned).toEqual([10, 11]);
		expect(gone).toEqual([0]);
		expect(closed).toEqual([12]);
		expect(candidates[0].own).toBe(0);
		expect(board.row(0).handoffsSent).toBe(0);
		expect(handoff.waiting).toBe(0);
	});

	it("drops a message that cannot be sent at all, counted, and goes on", () => {
		channels[0].error = new NativeError("EBADF", "sendmsg", "bad");
		put(0, 10);
		handoff.flush();
		expect(closed).toEqual([10]);
		expect(counts).toEqual({ sendErrors: 1 });
		channels[0].error = null;
		put(0, 11);
		handoff.flush();
		expect(channels[0].messages).toEqual([[11]]);
	});

	it("gives back what waits for a process that has been replaced, or does not serve any more", () => {
		channels[0].room = 0;
		channels[1].room = 0;
		put(0, 10);
		put(1, 11);
		handoff.flush();
		board.row(0).incarnation = 2;
		board.row(1).state = ShardState.dead;
		vi.advanceTimersByTime(1);
		expect(returned).toEqual([10, 11]);
		expect(candidates.map(({ serving }) => serving)).toEqual([false, false]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("begins a new process's account even: what was sent to the one before is not under way", () => {
		const row = board.row(0);
		row.handoffsSent = 100;
		row.handoffsReceived = 90;
		handoff.restarted(candidates[0]);
		expect(row.handoffsSent).toBe(90);
	});

	it("sets the account right when a shard has caught up and it still does not add up", () => {
		const row = board.row(0);
		row.handoffsSent = 64;
		handoff.settle(candidates);
		expect(row.handoffsSent).toBe(64); // the shard has not shown a sign of life: it may still take them
		row.set("heartbeatMs", monotonicMs());
		handoff.settle(candidates);
		expect(row.handoffsSent).toBe(0);
	});

	it("leaves the account alone while something was sent lately", () => {
		const row = board.row(0);
		put(0, 10);
		handoff.flush();
		row.set("heartbeatMs", monotonicMs() + 800);
		handoff.settle(candidates);
		expect(row.handoffsSent).toBe(1);
	});

	it("closes what it still has, and its channels", () => {
		channels[0].room = 0;
		put(0, 10, 11);
		handoff.flush();
		expect(handoff.close()).toBe(2);
		expect(closed).toEqual([10, 11]);
		expect(channels[0].closed).toBe(true);
		expect(candidates[0].own).toBe(0);
		expect(vi.getTimerCount()).toBe(0);
	});
});
