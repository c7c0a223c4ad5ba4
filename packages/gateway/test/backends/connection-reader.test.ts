import { afterEach, describe, expect, it } from "vitest";
import { ConnectionReader } from "../../src/backends/connection-reader.ts";
import { LinkCounts } from "../../src/backends/link-counts.ts";
import { SpareBuffers } from "../../src/backends/spare-buffers.ts";
import { TurnShare } from "../../src/backends/turn-share.ts";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import type { Frame } from "../../src/buffers/frame.ts";
import { Bandwidth } from "../../src/flow/bandwidth.ts";
import { FrameDecision, FrameReader } from "../../src/frames/frame-reader.ts";
import { frameBytes } from "../support/fake-backend.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const readers: ConnectionReader[] = [];
afterEach(() => {
	for (const reader of readers.splice(0)) reader.stop();
});

/** Replaces what reports errors of callbacks, here the test runner. @returns what brings it back. */
function catchUncaught(listener: (error: unknown) => void): () => void {
	const event = "uncaughtException";
	const before = process.listeners(event);
	process.removeAllListeners(event).on(event, listener);
	return () => {
		process.removeAllListeners(event);
		for (const each of before) process.on(event, each);
	};
}

/** A reader that notes the client ids of frames, and how often it was to be read again. */
function readerWith({
	begin = () => FrameDecision.take,
	...options
}: {
	readonly framesPerTurn: number;
	readonly share?: TurnShare;
	readonly spare?: SpareBuffers;
	readonly workOf?: (frame: Frame) => number;
	readonly begin?: () => FrameDecision;
}) {
	const frames: number[] = [];
	const state = { frames, resumed: 0 };
	const reader = new ConnectionReader({
		reader: new FrameReader(new BufferPool()),
		counts: new LinkCounts(),
		rate: new Bandwidth(0, 0),
		nowMs: () => 0,
		...options,
		begin,
		onFrame: (frame) => void frames.push(frame.clientId),
		onFailed: (problem) => expect.fail(problem),
		resume: () => void state.resumed++,
	});
	readers.push(reader);
	/** Frames for these clients come at once. */
	const read = (...clients: number[]): boolean => {
		const bytes = Buffer.concat(clients.map((client) => frameBytes(1, client, "x")));
		return reader.read(bytes, bytes.length);
	};
	return { state, read, reader };
}

describe("a reader of a connection", () => {
	it("whose turn ends with the last byte that was read has nothing left, whatever was left before", async () => {
		const { state, read } = readerWith({ framesPerTurn: 2 });
		expect(read(1, 2, 3)).toBe(false);
		while (state.resumed < 1) await turn();
		// So that the next read begins a turn.
		await turn();
		expect(read(4, 5)).toBe(false);
		while (state.resumed < 2) await turn();
		expect(state.frames).toEqual([1, 2, 3, 4, 5]);
	});

	it("is called once for each turn that it asks for", async () => {
		const share = new TurnShare(8);
		const calls: string[] = [];
		const taker = (name: string) => ({ takeTurn: () => void calls.push(name) });
		const asked = ["one", "other", "again", "last"];
		for (const name of asked) {
			share.next(taker(name));
			await turn();
		}
		expect(calls).toEqual(asked);
	});

	it("whose turn fails leaves the others theirs, in order, and the error is reported as that of any callback", async () => {
		const share = new TurnShare(8);
		const calls: string[] = [];
		const taker = (name: string, problem?: Error) => ({
			takeTurn: () => {
				calls.push(name);
				if (name === "first") share.next(taker("first again"));
				if (problem !== undefined) throw problem;
			},
		});
		const [one, other] = [new Error("one"), new Error("other")];
		const reported: unknown[] = [];
		const restore = catchUncaught((error) => void reported.push(error));
		try {
			for (const each of [taker("first"), taker("bad", one), taker("second"), taker("worse", other), taker("third")]) share.next(each);
			for (let turns = 0; turns < 5; turns++) await turn();
			expect(reported).toEqual([one, other]);
			expect(calls).toEqual(["first", "bad", "second", "worse", "third", "first again"]);
			share.next(taker("later"));
			await turn();
			expect(calls.slice(6), "nobody is called twice").toEqual(["later"]);
		} finally {
			restore();
		}
	});

	it("keeps what it could not handle in a spare buffer, and gives that back when it has", async () => {
		class Counted extends SpareBuffers {
			out = 0;
			override take(): Buffer {
				this.out++;
				return super.take();
			}
			override give(buffer: Buffer): void {
				this.out--;
				super.give(buffer);
			}
		}
		const spare = new Counted();
		const share = new TurnShare(2);
		const [one, other] = [readerWith({ framesPerTurn: 100, share, spare }), readerWith({ framesPerTurn: 100, share, spare })];
		expect([one.read(1, 2, 3, 4), other.read(5, 6, 7)]).toEqual([false, false]);
		expect(spare.out, "buffers in use").toBe(2);
		while (one.state.resumed + other.state.resumed < 2) await turn();
		expect(spare.out, "afterwards").toBe(0);
		expect([one.state.frames, other.state.frames]).toEqual([
			[1, 2, 3, 4],
			[5, 6, 7],
		]);
	});

	it("shares a turn with others that have frames at the same time, and has it alone when they have none", async () => {
		const share = new TurnShare(8);
		const four = Array.from({ length: 4 }, () => readerWith({ framesPerTurn: 100, share }));
		const clients = Array.from({ length: 20 }, (_, index) => index + 1);
		const handled = () => four.map(({ state }) => state.frames.length);
		for (const { read } of four) expect(read(...clients)).toBe(false);
		// The first one did not know of the others, and used up the turn.
		expect(handled(), "frames of each in the first turn").toEqual([8, 1, 1, 1]);
		await turn();
		// To go on with a connection for two frames would not be worth it.
		expect(handled(), "of each after the second").toEqual([14, 3, 1, 1]);
		await turn();
		expect(handled(), "of each after the third: the others go first").toEqual([14, 3, 7, 3]);
		for (let turns = 0; turns < 10; turns++) await turn();
		expect(
			four.map(({ state }) => state.frames),
			"all frames of each, in order",
		).toEqual(four.map(() => clients));
		const [alone] = four;
		// It is not known yet that the others have no more.
		alone!.read(1);
		await turn();
		expect(alone!.read(...clients.slice(0, 8)), "whether it may read on after 8").toBe(false);
		expect(handled()[0], "frames of the one that is alone").toBe(20 + 1 + 8);
		await turn();
		expect(alone!.read(...clients.slice(0, 7)), "whether it may read on after 7").toBe(true);
	});

	it("handles fewer frames in a turn when they are more work", async () => {
		const { state, read } = readerWith({ framesPerTurn: 8, workOf: ({ clientId }) => (clientId === 0 ? 4 : 1) });
		expect(read(0, 1, 0, 2, 0, 3)).toBe(false);
		expect(state.frames).toEqual([0, 1, 0]);
		await turn();
		expect(state.frames).toEqual([0, 1, 0, 2, 0, 3]);
	});

	it("takes no frame when it is stopped while it is asked about it, and has no part of the turn", () => {
		const share = new TurnShare(8);
		const { state, read, reader } = readerWith({
			...{ framesPerTurn: 100, share },
			begin: () => {
				reader.stop();
				return FrameDecision.take;
			},
		});
		expect(read(1, 2)).toBe(false);
		expect(state.frames).toEqual([]);
		// The only one now.
		share.join();
		expect(share.frames).toBe(8);
	});

	it("gives back its share when it is stopped within a turn", () => {
		const share = new TurnShare(16);
		const [one, other] = [readerWith({ framesPerTurn: 100, share }), readerWith({ framesPerTurn: 100, share })];
		one.read(1);
		other.read(1);
		expect(share.frames).toBe(8);
		one.reader.stop();
		other.reader.stop();
		one.reader.stop();
		share.join();
		share.leave();
		expect(share.frames).toBe(16);
	});

	it("has no more than a turn of all connections, until the turn ends", async () => {
		const share = new TurnShare(16);
		share.join();
		share.handled(15);
		expect(share.frames).toBe(16);
		share.handled(1);
		share.join();
		expect(share.frames, "of one that comes later").toBe(1);
		share.leave();
		share.leave();
		expect(share.frames, "before the turn ends").toBe(1);
		await turn();
		expect(share.frames, "two were busy at once").toBe(8);
	});
});
