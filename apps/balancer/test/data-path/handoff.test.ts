import { LostDescriptors, NativeError } from "@shardcast/native";
import { Scoreboard, ShardState } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Handoff } from "../../src/handoff/handoff.ts";
import { type Candidate, newCandidate } from "../../src/pick/candidate.ts";

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
	/** What lies in each shard's socket, as the balancer takes it out. */
	let queues: (number[] | Error)[][];
	let mayTakeBack: boolean;
	let roomForMessages: number;
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
		queues = [[], []];
		mayTakeBack = true;
		roomForMessages = Number.POSITIVE_INFINITY;
		candidates = [0, 1].map((slot) => {
			const row = board.row(slot);
			row.state = ShardState.serving;
			row.incarnation = 1;
			return { ...newCandidate(row), incarnation: 1, maxConnections: 10, socketsMax: 10, serving: true };
		});
		handoff = new Handoff({
			openChannel: (slot) => channels[slot],
			returns: queues.map((queue) => ({
				receive() {
					const message = queue.shift() ?? [];
					if (message instanceof Error) throw message;
					return message;
				},
			})),
			mayTakeBack: () => mayTakeBack,
			hasRoom: () => roomForMessages-- > 0,
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

	it("keeps what a full socket does not accept, in order, and tries again", () => {
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

	it("tries a socket that stays full less and less often, even as connections arrive, and sends soon after there is room", () => {
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

	it.each(["ECONNREFUSED", "ENOENT"])("gives connections back when no process receives them: %s", (code) => {
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

	it("gives back what waits for a process that was replaced or no longer serves", () => {
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

	describe("takes back", () => {
		/** What lies in the first shard's socket has been sent and not received. */
		function lies(...messages: (number[] | Error)[]): void {
			queues[0].push(...messages);
			board.row(0).handoffsSent = messages.reduce((sum, message) => sum + (message instanceof Error ? 64 : message.length), 0);
		}

		it("what a silent shard has not received, and counts it as undone", () => {
			lies([10, 11], [12]);
			queues[1].push([20]);
			board.row(1).handoffsSent = 1;
			handoff.takeBack(candidates);
			expect(returned, "all respond").toEqual([]);
			candidates[0].silent = true;
			handoff.takeBack(candidates);
			expect(returned).toEqual([10, 11, 12]);
			expect(board.row(0).snapshot()).toMatchObject({ handoffsSent: 3, handoffsReceived: 0 });
			expect(board.row(0).handoffsUndone).toBe(3);
			expect(counts).toEqual({ takenBack: 3 });
		});

		it.each([
			["is down", ShardState.dead, true],
			["is being started", ShardState.starting, true],
			["drains, and takes its own", ShardState.draining, false],
		])("from a shard that %s", (_, state, takes) => {
			lies([10]);
			board.row(0).state = state;
			handoff.takeBack(candidates);
			expect(returned).toEqual(takes ? [10] : []);
		});

		it("nothing while no other shard could take it: the shard or its successor may still receive it", () => {
			lies([10]);
			candidates[0].silent = true;
			mayTakeBack = false;
			handoff.takeBack(candidates);
			expect(returned).toEqual([]);
			mayTakeBack = true;
			handoff.takeBack(candidates);
			expect(returned).toEqual([10]);
		});

		it("only as much as there is room for, and the rest later", () => {
			lies([10], [11], [12]);
			candidates[0].silent = true;
			roomForMessages = 2;
			handoff.takeBack(candidates);
			expect(returned).toEqual([10, 11]);
			roomForMessages = 2;
			handoff.takeBack(candidates);
			expect(returned).toEqual([10, 11, 12]);
		});

		it("and counts what is lost on the way back for lack of descriptors", () => {
			lies(new LostDescriptors(64, "EMFILE", "64 descriptors were sent, 3 came"), [12]);
			candidates[0].silent = true;
			handoff.takeBack(candidates);
			handoff.takeBack(candidates);
			expect(returned).toEqual([12]);
			expect(counts).toEqual({ sendErrors: 64, takenBack: 1 });
			expect(board.row(0).handoffsUndone).toBe(65);
		});

		it("what was not even sent yet to a shard that does not respond", () => {
			channels[0].room = 0;
			put(0, 10);
			handoff.flush();
			candidates[0].silent = true;
			mayTakeBack = false;
			vi.advanceTimersByTime(1);
			expect(returned).toEqual([]);
			mayTakeBack = true;
			vi.advanceTimersByTime(2);
			expect(returned).toEqual([10]);
			expect(candidates[0].serving, "it is not gone").toBe(true);
		});
	});

	it("keeps what cannot be sent for lack of a descriptor, and tries again", () => {
		channels[0].error = new NativeError("EMFILE", "socket", "too many open files");
		put(0, 10);
		handoff.flush();
		expect(closed).toEqual([]);
		channels[0].error = null;
		vi.advanceTimersByTime(1);
		expect(channels[0].messages).toEqual([[10]]);
		expect(counts).toEqual({ sendRetries: 1, handedOff: 1 });
	});

	it("corrects the counts when a shard has caught up and they still do not match", () => {
		const row = board.row(0);
		row.handoffsSent = 64;
		handoff.settle(candidates);
		expect(row.handoffsUndone).toBe(0); // the shard has not shown a sign of life: it may still take them
		row.set("heartbeatMs", monotonicMs());
		handoff.settle(candidates);
		expect(row.handoffsUndone).toBe(64);
		// They came after all, or were never counted as sent.
		row.handoffsReceived = 70;
		handoff.settle(candidates);
		expect(row.handoffsUndone).toBe(-6);
		expect(row.handoffsSent, "a counter of the metrics never falls").toBe(64);
	});

	it("does not correct the counts while something was sent recently", () => {
		const row = board.row(0);
		put(0, 10);
		handoff.flush();
		row.set("heartbeatMs", monotonicMs() + 800);
		handoff.settle(candidates);
		expect(row.handoffsUndone).toBe(0);
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
