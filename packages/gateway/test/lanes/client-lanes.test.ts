import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Frame } from "../../src/buffers/frame.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { ClientLaneCounters, ClientLanes, type ClientLanesOptions, highFramesInRowMax } from "../../src/lanes/client-lanes.ts";
import type { Offered } from "../../src/lanes/lane.ts";
import { frameOf, numberOf, seed, smallPool } from "../support/frames.ts";

const client = 9;

/** Lanes, and a way to offer frames by class and number. */
function lanesWith(options: ClientLanesOptions = {}) {
	const pool = smallPool();
	const lanes = new ClientLanes(options);
	return {
		pool,
		lanes,
		offer(frameClass: FrameClass, n: number, { backend = 1, bytes = 10 } = {}): Offered {
			const frame = frameOf(pool, { frameClass, client, backend, bytes, n });
			const offered = lanes.offer(frame);
			frame.release();
			return offered;
		},
		/** Numbers of the next frames. */
		take(count = Number.POSITIVE_INFINITY, nowMs = 0): number[] {
			return takeFrom(lanes, count, nowMs);
		},
	};
}

function takeFrom(lanes: ClientLanes, count: number, nowMs: number): number[] {
	const numbers: number[] = [];
	while (numbers.length < count) {
		const peeked = lanes.peek();
		const frame = lanes.next(nowMs);
		if (frame !== peeked) throw new Error("peek and next differ");
		if (frame === null) break;
		numbers.push(numberOf(frame));
		frame.release();
	}
	return numbers;
}

const { LINK, CONTROL, VIDEO, ACK, FILE } = FrameClass;

describe("client lanes", () => {
	it("sends the high lane first, in order, and then the low one", () => {
		const { offer, take, pool } = lanesWith();
		for (const [n, frameClass] of [FILE, CONTROL, VIDEO, LINK, FILE, ACK].entries()) expect(offer(frameClass, n)).toBe("queued");
		expect(take()).toEqual([1, 3, 5, 0, 2, 4]);
		expect(pool.inUse).toBe(0);
	});

	it("gives the low lane one turn after 16 high frames in a row, so that control cannot starve files", () => {
		const { offer, take } = lanesWith();
		for (let n = 0; n < 50; n++) offer(CONTROL, n);
		for (let n = 100; n < 103; n++) offer(FILE, n);
		const sent = take();
		expect(sent.indexOf(100)).toBe(highFramesInRowMax);
		expect(sent.indexOf(101)).toBe(2 * highFramesInRowMax + 1);
		expect(sent.indexOf(102)).toBe(3 * highFramesInRowMax + 2);
	});

	it("counts a run of high frames only while a low one waits", () => {
		const { offer, take } = lanesWith();
		for (let n = 0; n < 40; n++) offer(CONTROL, n);
		take(30);
		offer(FILE, 100);
		expect(take()).toEqual([...Array.from({ length: 10 }, (_, index) => 30 + index), 100]);
	});

	it("lets a control frame wait for at most one frame, however many files wait", () => {
		const { offer, take } = lanesWith();
		for (let n = 0; n < 60; n++) offer(FILE, n);
		take(5);
		for (let n = 100; n < 120; n++) {
			offer(CONTROL, n);
			// Each is the first or the second to go.
			expect(take(2)).toContain(n);
			offer(FILE, n + 100);
		}
	});

	it("takes control frames while the low lane is full of bytes", () => {
		const { offer, lanes } = lanesWith({ bytesMax: 400 });
		expect([100, 100, 100, 100].map((bytes, n) => offer(FILE, n, { bytes }))).toEqual(["queued", "queued", "queued", "full"]);
		expect([50, 50, 50].map((bytes, n) => offer(CONTROL, n, { bytes }))).toEqual(["queued", "queued", "full"]);
		expect(lanes.bytes).toBe(400);
	});

	it("takes a frame longer than its bound when nothing else waits, since it would never pass", () => {
		const { offer, take } = lanesWith({ bytesMax: 40 });
		expect(offer(FILE, 1, { bytes: 200 })).toBe("queued");
		expect(offer(FILE, 2, { bytes: 5 })).toBe("full");
		expect(take()).toEqual([1]);
		expect(offer(FILE, 2, { bytes: 5 })).toBe("queued");
	});

	it.each([
		["CONTROL", CONTROL],
		["ACK", ACK],
		["LINK", LINK],
		["FILE", FILE],
	])("never drops %s: says full, tells the source to pause at 80 % and to go on at 50 %", (_, frameClass) => {
		const { offer, take, lanes } = lanesWith({ framesMax: 10 });
		for (let n = 0; n < 7; n++) offer(frameClass, n);
		expect(lanes.holds(frameClass)).toBe(false);
		offer(frameClass, 7);
		expect(lanes.holds(frameClass)).toBe(true);
		offer(frameClass, 8);
		offer(frameClass, 9);
		expect(lanes.hasRoom(frameClass, 1)).toBe(false);
		expect(offer(frameClass, 10)).toBe("full");
		expect(take(4)).toEqual([0, 1, 2, 3]);
		expect(lanes.holds(frameClass)).toBe(true);
		take(1);
		expect(lanes.holds(frameClass)).toBe(false);
		const counters = frameClass === FILE ? lanes.counters.low : lanes.counters.high;
		expect(counters).toMatchObject({
			offered: 11,
			delivered: 5,
			dropped: 0,
			refused: 1,
			waiting: 5,
			highWater: 10,
			backpressureEvents: 1,
		});
	});

	it("tells a source that was refused to pause below 80 % as well, until there is room", () => {
		const { offer, take, lanes } = lanesWith({ bytesMax: 400 });
		offer(FILE, 1, { bytes: 150 });
		expect(lanes.holds(FILE)).toBe(false);
		expect(offer(FILE, 2, { bytes: 200 })).toBe("full");
		expect(lanes.holds(FILE)).toBe(true);
		take(1);
		expect(lanes.holds(FILE)).toBe(false);
	});

	it("never asks sources of VIDEO to pause", () => {
		const { offer, lanes } = lanesWith({ framesMax: 4, window: 64 });
		for (let n = 0; n < 9; n++) offer(VIDEO, n);
		expect(lanes.holds(VIDEO)).toBe(false);
		expect(lanes.holds(FILE)).toBe(false);
		expect(lanes.hasRoom(FILE, 10)).toBe(true);
	});

	describe("a lane that is full before the window is", () => {
		it("drops the oldest VIDEO of a stream, and keeps its place", () => {
			const { offer, take, lanes, pool } = lanesWith({ framesMax: 4, window: 64 });
			offer(VIDEO, 1);
			offer(FILE, 2);
			offer(VIDEO, 3);
			offer(FILE, 4);
			expect(offer(VIDEO, 5)).toBe("queued");
			expect(take()).toEqual([3, 2, 5, 4]);
			expect(lanes.counters.low).toMatchObject({ offered: 5, delivered: 4, dropped: 1 });
			expect(pool.inUse).toBe(0);
		});

		it("drops VIDEO of other streams where the stream has none, and the new frame where there is none at all", () => {
			const { offer, take, lanes } = lanesWith({ framesMax: 3, window: 64 });
			offer(VIDEO, 1, { backend: 1 });
			offer(FILE, 2);
			offer(FILE, 3);
			offer(VIDEO, 4, { backend: 2 });
			offer(FILE, 5);
			expect(offer(VIDEO, 6)).toBe("dropped");
			expect(take()).toEqual([2, 3, 5]);
			expect(lanes.counters.low).toMatchObject({ offered: 6, delivered: 3, dropped: 3 });
		});

		it("drops VIDEO for a FILE, but not for one that finds no room even then", () => {
			const { offer, take } = lanesWith({ framesMax: 10, bytesMax: 400, window: 64 });
			offer(FILE, 1, { bytes: 200 });
			offer(VIDEO, 2, { bytes: 50 });
			offer(VIDEO, 3, { bytes: 50 });
			expect(offer(FILE, 4, { bytes: 150 })).toBe("full");
			expect(offer(FILE, 5, { bytes: 50 })).toBe("queued");
			expect(take()).toEqual([1, 3, 5]);
		});
	});

	describe("ACK window", () => {
		it("has one VIDEO frame per backend on its way, keeps the newest of the others and sends it at the ACK", () => {
			const { offer, take, lanes } = lanesWith();
			offer(VIDEO, 1, { backend: 1 });
			offer(VIDEO, 101, { backend: 2 });
			expect(take()).toEqual([1, 101]);
			for (let n = 2; n < 6; n++) expect(offer(VIDEO, n)).toBe("queued");
			offer(CONTROL, 50);
			expect(take()).toEqual([50]);
			expect(lanes.acknowledge(1, 10)).toBe(true);
			expect(take()).toEqual([5]);
			expect(lanes.counters.acks).toEqual({ acks: 1, surplusAcks: 0, skipped: 3, resets: 0 });
			expect(lanes.counters.low).toMatchObject({ offered: 6, delivered: 3, dropped: 3, waiting: 0 });
		});

		it("replaces a frame that the client has not taken yet by a newer one, in its place", () => {
			const { offer, take, lanes } = lanesWith();
			offer(VIDEO, 1);
			offer(FILE, 2);
			offer(VIDEO, 3);
			offer(VIDEO, 4);
			expect(take()).toEqual([4, 2]);
			expect(lanes.counters.acks.skipped).toBe(2);
		});

		it("lets as many frames through as the window has", () => {
			const { offer, take, lanes } = lanesWith({ window: 3 });
			for (let n = 0; n < 5; n++) offer(VIDEO, n);
			expect(take()).toEqual([2, 3, 4]);
			offer(VIDEO, 5);
			offer(VIDEO, 6);
			expect(take()).toEqual([]);
			lanes.acknowledge(1, 0);
			expect(take()).toEqual([6]);
			lanes.acknowledge(1, 0);
			offer(VIDEO, 7);
			expect(take()).toEqual([7]);
		});

		it("counts ACKs that nothing waits for, and changes nothing", () => {
			const { offer, take, lanes } = lanesWith();
			expect(lanes.acknowledge(1, 0)).toBe(false);
			offer(VIDEO, 1);
			expect(lanes.acknowledge(1, 0)).toBe(false);
			take();
			expect(lanes.acknowledge(1, 0)).toBe(false);
			expect(lanes.acknowledge(1, 0)).toBe(false);
			offer(VIDEO, 2);
			offer(VIDEO, 3);
			expect(take()).toEqual([3]);
			expect(lanes.counters.acks).toMatchObject({ acks: 1, surplusAcks: 3 });
		});

		it("opens the window again after two seconds without an ACK, and a client that is late recovers", () => {
			const { offer, take, lanes } = lanesWith();
			offer(VIDEO, 1);
			take(1, 1000);
			offer(VIDEO, 2);
			expect(lanes.expire(2999)).toBe(false);
			expect(take()).toEqual([]);
			expect(lanes.expire(3000)).toBe(true);
			expect(take(1, 3000)).toEqual([2]);
			expect(lanes.expire(4999)).toBe(false);
			// The ACK of frame 1 comes now, then that of frame 2: one is too many, and the next frames go one by one.
			lanes.acknowledge(1, 3100);
			lanes.acknowledge(1, 3200);
			for (let n = 3; n < 6; n++) {
				offer(VIDEO, n);
				offer(VIDEO, n + 100);
				expect(take(5, 3300)).toEqual([n + 100]);
				lanes.acknowledge(1, 3300);
			}
			expect(lanes.counters.acks).toMatchObject({ resets: 1, surplusAcks: 1 });
		});

		it("opens the window of each backend in its own time, and at once when the time has become shorter", () => {
			const { offer, take, lanes } = lanesWith();
			/** Time at which each reset is seen, with a look every 100 ms. */
			const resetsAt: number[] = [];
			const look = (fromMs: number, toMs: number): void => {
				for (let nowMs = fromMs; nowMs <= toMs; nowMs += 100) {
					const { acks } = lanes.counters;
					const before = acks.resets;
					lanes.expire(nowMs);
					for (let count = before; count < acks.resets; count++) resetsAt.push(nowMs);
				}
			};
			const send = (backend: number, nowMs: number): void => {
				offer(VIDEO, backend, { backend });
				take(1, nowMs);
			};
			send(1, 0);
			look(100, 500);
			send(2, 550);
			look(600, 1800);
			send(3, 1850);
			look(1900, 4000);
			expect(resetsAt).toEqual([2000, 2600, 3900]);
			send(1, 4000);
			look(4100, 4300);
			lanes.ackTimeoutMs = 400;
			look(4400, 4500);
			expect(resetsAt.slice(3)).toEqual([4400]);
		});

		it("waits two seconds from the last ACK, not from the first frame", () => {
			const { offer, take, lanes } = lanesWith({ window: 2 });
			offer(VIDEO, 1);
			offer(VIDEO, 2);
			take(2, 0);
			lanes.acknowledge(1, 1900);
			lanes.expire(3800);
			expect(lanes.counters.acks.resets).toBe(0);
			lanes.expire(3900);
			expect(lanes.counters.acks.resets).toBe(1);
		});

		it("does not count frames that the lane has dropped as on their way", () => {
			const { offer, take } = lanesWith({ framesMax: 2 });
			offer(VIDEO, 1);
			offer(FILE, 2);
			offer(FILE, 3);
			expect(take()).toEqual([2, 3]);
			offer(VIDEO, 4);
			expect(take()).toEqual([4]);
		});

		it("forgets what a backend had on its way, but not what is queued", () => {
			const { offer, take, lanes, pool } = lanesWith();
			offer(VIDEO, 1);
			take();
			offer(VIDEO, 2);
			lanes.forgetBackend(1);
			expect(pool.inUse).toBe(0);
			offer(VIDEO, 3);
			lanes.forgetBackend(1);
			offer(VIDEO, 4);
			expect(take()).toEqual([4]);
			offer(VIDEO, 5);
			expect(take()).toEqual([]);
			lanes.acknowledge(1, 0);
			expect(take()).toEqual([5]);
			expect(lanes.counters.low).toMatchObject({ offered: 5, delivered: 3, dropped: 2, discarded: 0, waiting: 0 });
		});

		it("can become larger and smaller while frames wait", () => {
			const { offer, take, lanes } = lanesWith();
			offer(VIDEO, 1);
			take();
			offer(VIDEO, 2);
			lanes.window = 64;
			offer(VIDEO, 3);
			lanes.window = 1;
			offer(VIDEO, 4);
			expect(take()).toEqual([3, 4]);
			offer(VIDEO, 5);
			lanes.acknowledge(1, 0);
			lanes.acknowledge(1, 0);
			expect(take(), "while one of three is not acknowledged").toEqual([]);
			lanes.acknowledge(1, 0);
			expect(take()).toEqual([5]);
		});

		it("sends what waits when the window becomes larger, before anything newer", () => {
			const { offer, take, lanes } = lanesWith();
			offer(VIDEO, 1);
			take();
			offer(VIDEO, 2);
			lanes.window = 2;
			offer(VIDEO, 3);
			expect(take()).toEqual([3]);
			expect(lanes.counters.acks.skipped).toBe(1);
		});
	});

	describe("for VIDEO that there is no buffer for", () => {
		it("gives up the frame of its backend that waits for an ACK, counted", () => {
			const { offer, take, lanes, pool } = lanesWith({ window: 1 });
			offer(VIDEO, 1);
			offer(VIDEO, 5, { backend: 2 });
			expect(take()).toEqual([1, 5]);
			offer(VIDEO, 2);
			offer(VIDEO, 6, { backend: 2 });
			const older = lanes.olderVideo(1)!;
			expect(numberOf(older)).toBe(2);
			older.release();
			expect(lanes.olderVideo(1)).toBeNull();
			expect(lanes.counters.low).toMatchObject({ offered: 4, delivered: 2, dropped: 1, waiting: 1 });
			expect(lanes.counters.acks.skipped).toBe(1);
			offer(VIDEO, 3);
			for (const backend of [1, 2]) lanes.acknowledge(backend, 0);
			expect(take()).toEqual([3, 6]);
			expect(pool.inUse).toBe(0);
		});

		it.each([1, 2])("gives up the oldest in the lane, whose stream keeps its turn (window %i)", (window) => {
			const { offer, take, lanes, pool } = lanesWith({ window });
			offer(VIDEO, 1);
			offer(FILE, 2);
			if (window > 1) offer(VIDEO, 3);
			offer(FILE, 4, { backend: 2 });
			const older = lanes.olderVideo(1)!;
			expect(numberOf(older)).toBe(1);
			older.release();
			offer(VIDEO, 5);
			expect(take()).toEqual(window === 1 ? [5, 2, 4] : [3, 2, 5, 4]);
			expect(lanes.olderVideo(1)).toBeNull();
			expect(pool.inUse).toBe(0);
		});
	});

	it(`keeps order, loses no frame that may not be dropped, counts all and releases all (seed ${seed})`, { tags: ["long"] }, () => {
		const backend = fc.integer({ min: 1, max: 3 });
		// With the largest, it is the lane that is full.
		const window = fc.constantFrom(1, 2, 3, 64);
		const step = fc.oneof(
			{
				weight: 8,
				arbitrary: fc.record({
					do: fc.constant("offer" as const),
					frameClass: fc.constantFrom<FrameClass[]>(LINK, CONTROL, VIDEO, VIDEO, ACK, FILE),
					backend,
					bytes: fc.integer({ min: 5, max: 120 }),
				}),
			},
			{ weight: 5, arbitrary: fc.record({ do: fc.constant("next" as const), count: fc.integer({ min: 1, max: 20 }) }) },
			{ weight: 3, arbitrary: fc.record({ do: fc.constant("ack" as const), backend }) },
			{ weight: 2, arbitrary: fc.record({ do: fc.constant("giveUp" as const), backend }) },
			{ weight: 1, arbitrary: fc.record({ do: fc.constant("time" as const), ms: fc.nat(1500) }) },
			{ weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), backend }) },
			{ weight: 1, arbitrary: fc.record({ do: fc.constant("window" as const), window }) },
		);
		let dropped = 0;
		let refused = 0;
		let givenUp = 0;
		fc.assert(
			fc.property(
				fc.array(step, { maxLength: 300, size: "max" }),
				fc.integer({ min: 1, max: 12 }),
				fc.integer({ min: 100, max: 1500 }),
				window,
				(steps, framesMax, bytesMax, window) => {
					const pool = smallPool();
					const counters = new ClientLaneCounters();
					const lanes = new ClientLanes({ framesMax, bytesMax, window }, counters);
					/** Frames that were queued and may not be dropped, by class and backend, in order. */
					const expected = new Map<string, number[]>();
					const latestVideo = new Map<number, number>();
					const seen = { offered: 0, videoDelivered: 0 };
					let nowMs = 0;
					let highInRow = 0;
					const checkTaken = (frame: Frame): void => {
						const n = numberOf(frame);
						if (frame.frameClass === VIDEO) {
							if (n <= (latestVideo.get(frame.backendId) ?? -1)) expect.fail(`VIDEO ${n} after a newer one`);
							latestVideo.set(frame.backendId, n);
							seen.videoDelivered++;
						} else if (expected.get(`${frame.frameClass} ${frame.backendId}`)?.shift() !== n) expect.fail(`frame ${n} out of order`);
						frame.release();
					};
					const takeOne = (): boolean => {
						const [high, low] = [lanes.highCount, lanes.count - lanes.highCount];
						const frame = lanes.next(nowMs);
						if (frame === null) return false;
						const isHigh = lanes.highCount < high;
						// The rule, both ways: no 17th high frame while a low one waits, no low frame while a high one may go.
						if (isHigh && low > 0 && ++highInRow > highFramesInRowMax) expect.fail("the low lane starves");
						if (!isHigh && high > 0 && highInRow < highFramesInRowMax) expect.fail("a low frame went before a high one");
						if (!isHigh || low === 0) highInRow = 0;
						checkTaken(frame);
						return true;
					};
					for (const [n, taken] of steps.entries()) {
						switch (taken.do) {
							case "offer": {
								const { frameClass, backend, bytes } = taken;
								const frame = frameOf(pool, { frameClass, client: n % 2 === 0 ? client : 0, backend, bytes, n });
								const hasRoom = lanes.hasRoom(frameClass, bytes);
								const offered = lanes.offer(frame);
								frame.release();
								seen.offered++;
								expect(offered === "full").toBe(!hasRoom);
								if (offered === "full") refused++;
								else if (frameClass !== VIDEO) {
									expect(offered).toBe("queued");
									const key = `${frameClass} ${backend}`;
									expected.set(key, [...(expected.get(key) ?? []), n]);
								}
								break;
							}
							case "next":
								for (let count = 0; count < taken.count && takeOne(); count++);
								break;
							case "ack":
								lanes.acknowledge(taken.backend, nowMs);
								break;
							case "giveUp": {
								const older = lanes.olderVideo(taken.backend);
								if (older === null) break;
								expect([older.frameClass, older.backendId]).toEqual([VIDEO, taken.backend]);
								if (numberOf(older) <= (latestVideo.get(taken.backend) ?? -1)) expect.fail("it was delivered");
								older.release();
								givenUp++;
								break;
							}
							case "time":
								nowMs += taken.ms;
								lanes.expire(nowMs);
								break;
							case "forget":
								lanes.forgetBackend(taken.backend);
								break;
							case "window":
								lanes.window = taken.window;
								break;
						}
						expect(lanes.highCount).toBeLessThanOrEqual(framesMax);
						expect(lanes.count - lanes.highCount).toBeLessThanOrEqual(framesMax);
						if (lanes.highCount > 1 && lanes.count - lanes.highCount > 1) expect(lanes.bytes).toBeLessThanOrEqual(bytesMax + 240);
						expect(pool.inUse).toBe(counters.high.waiting + counters.low.waiting);
						for (const lane of [counters.high, counters.low]) {
							expect(lane.offered).toBe(lane.delivered + lane.dropped + lane.refused + lane.discarded + lane.waiting);
							expect(lane.waiting).toBeGreaterThanOrEqual(0);
						}
					}
					expect(counters.high.offered + counters.low.offered).toBe(seen.offered);
					expect(counters.high.dropped).toBe(0);
					dropped += counters.low.dropped;
					while (takeOne());
					// All that was queued and may not be dropped has come out.
					expect([...expected.values()].flat()).toEqual([]);
					lanes.clear();
					expect(pool.inUse).toBe(0);
					expect(counters.high.waiting + counters.low.waiting).toBe(0);
				},
			),
			{ seed, numRuns: stressed(100) },
		);
		expect(dropped).toBeGreaterThan(0);
		expect(givenUp).toBeGreaterThan(0);
		expect(refused).toBeGreaterThan(0);
	});
});
