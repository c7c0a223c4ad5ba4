import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Frame } from "../../src/buffers/frame.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { BackendQueue, type BackendQueueOptions } from "../../src/lanes/backend-queue.ts";
import { HeldBudget } from "../../src/lanes/held-frames.ts";
import { frameOf, numberOf, seed, smallPool } from "../support/frames.ts";

const { CONTROL, VIDEO, ACK, FILE } = FrameClass;

function queueWith(options: BackendQueueOptions = {}, budgetFrames = 8) {
	const pool = smallPool();
	const queue = new BackendQueue(options);
	const budgets = new Map<number, HeldBudget>();
	const budgetOf = (client: number): HeldBudget => {
		const budget = budgets.get(client) ?? new HeldBudget(budgetFrames, 10_000);
		budgets.set(client, budget);
		return budget;
	};
	const numbers = (next: () => Frame | null, count: number): number[] => {
		const taken: number[] = [];
		for (let frame = count > 0 ? next() : null; frame !== null; frame = taken.length < count ? next() : null) {
			taken.push(numberOf(frame));
			frame.release();
		}
		return taken;
	};
	return {
		pool,
		queue,
		budgetOf,
		offer(frameClass: FrameClass, n: number, { client = 1, bytes = 10 } = {}) {
			const frame = frameOf(pool, { frameClass, client, backend: 1, bytes, n });
			const offered = queue.offer(frame, budgetOf(client));
			frame.release();
			return offered;
		},
		control: (count = Number.POSITIVE_INFINITY) => numbers(() => queue.nextControl(), count),
		data: (count = Number.POSITIVE_INFINITY) => numbers(() => queue.nextData(), count),
	};
}

describe("backend queue", () => {
	it("has CONTROL and ACK for the control connection, VIDEO and FILE for the other", () => {
		const { offer, control, data, pool } = queueWith();
		for (const [n, frameClass] of [FILE, CONTROL, VIDEO, ACK].entries()) offer(frameClass, n);
		expect(control()).toEqual([1, 3]);
		expect(data()).toEqual([0, 2]);
		expect(pool.inUse).toBe(0);
	});

	it("takes control frames while the data queue is full, of frames and of bytes", () => {
		const { offer, queue } = queueWith({ dataFramesMax: 4, bytesMax: 1000 });
		for (let n = 0; n < 3; n++) expect(offer(FILE, n, { bytes: 250 })).toBe("queued");
		expect(offer(FILE, 3, { bytes: 250 })).toBe("held");
		expect(offer(CONTROL, 4, { bytes: 200 })).toBe("queued");
		expect([queue.controlCount, queue.dataCount, queue.heldCount, queue.bytes]).toEqual([1, 3, 1, 1200]);
	});

	it("drops the oldest VIDEO, that of the same client first, exactly counted", () => {
		const { offer, data, queue } = queueWith({ dataFramesMax: 3 });
		offer(VIDEO, 1, { client: 1 });
		offer(VIDEO, 2, { client: 2 });
		offer(VIDEO, 3, { client: 2 });
		offer(VIDEO, 4, { client: 2 });
		offer(VIDEO, 5, { client: 3 });
		expect(data()).toEqual([3, 4, 5]);
		expect(queue.counters.data).toMatchObject({ offered: 5, delivered: 3, dropped: 2, waiting: 0 });
	});

	it("gives up VIDEO that there is no buffer for: the oldest of a client, which keeps its turn", () => {
		const { offer, data, queue, pool } = queueWith();
		const giveUp = (client: number): number | null => {
			const frame = queue.olderVideo(client);
			const n = frame === null ? null : numberOf(frame);
			frame?.release();
			return n;
		};
		offer(FILE, 1, { client: 2 });
		offer(VIDEO, 2, { client: 1 });
		offer(VIDEO, 3, { client: 2 });
		offer(VIDEO, 4, { client: 1 });
		offer(VIDEO, 5, { client: 3 });
		expect(giveUp(1)).toBe(2);
		offer(VIDEO, 6, { client: 1 });
		expect(data(2)).toEqual([1, 4]);
		expect([giveUp(4), numberOf(queue.oldestVideo()!)]).toEqual([null, 3]);
		expect([giveUp(2), giveUp(1)]).toEqual([3, 6]);
		offer(VIDEO, 7, { client: 3 });
		offer(VIDEO, 8, { client: 1 });
		expect(data()).toEqual([8, 5, 7]);
		offer(FILE, 9);
		offer(CONTROL, 10);
		expect([giveUp(1), queue.oldestVideo()]).toEqual([null, null]);
		expect(queue.counters.data).toMatchObject({ offered: 9, delivered: 5, dropped: 3, waiting: 1 });
		queue.clear();
		expect(pool.inUse).toBe(0);
	});

	it("holds what may not be dropped, in order for each client, and lets clients take turns", () => {
		const { offer, data, pool, queue, budgetOf } = queueWith({ dataFramesMax: 2 });
		offer(FILE, 10, { client: 1 });
		offer(FILE, 11, { client: 1 });
		for (const n of [12, 13, 14]) expect(offer(FILE, n, { client: 1 })).toBe("held");
		for (const n of [20, 21]) expect(offer(FILE, n, { client: 2 })).toBe("held");
		expect([budgetOf(1).frames, budgetOf(2).frames, queue.heldCount]).toEqual([3, 2, 5]);
		expect(data()).toEqual([10, 11, 12, 20, 13, 21, 14]);
		expect([budgetOf(1).frames, budgetOf(1).bytes, pool.inUse]).toEqual([0, 0, 0]);
		expect(queue.counters.data).toMatchObject({
			offered: 7,
			delivered: 7,
			waiting: 0,
			held: 5,
			holding: 0,
			holdingHighWater: 5,
		});
	});

	it("does not let a frame overtake held ones, of its client or of others", () => {
		const { offer, control } = queueWith({ controlFramesMax: 4, bytesMax: 400 });
		offer(CONTROL, 1, { client: 1, bytes: 60 });
		offer(CONTROL, 2, { client: 1, bytes: 60 });
		expect(offer(CONTROL, 3, { client: 2, bytes: 5 })).toBe("held");
		expect(control()).toEqual([1, 2, 3]);
	});

	it("says full when a client's budget is used up, over all backends, and takes the frames of other clients", () => {
		const { offer, pool, budgetOf, control } = queueWith({ controlFramesMax: 1 }, 2);
		offer(CONTROL, 1);
		expect([offer(CONTROL, 2), offer(CONTROL, 3), offer(CONTROL, 4)]).toEqual(["held", "held", "full"]);
		const other = new BackendQueue({ controlFramesMax: 1 });
		for (const [n, offered] of (["queued", "full"] as const).entries()) {
			const frame = frameOf(pool, { frameClass: CONTROL, client: 1, backend: 2, bytes: 10, n });
			expect(other.offer(frame, budgetOf(1))).toBe(offered);
			frame.release();
		}
		expect(offer(CONTROL, 5, { client: 2 })).toBe("held");
		expect(control()).toEqual([1, 2, 5, 3]);
		other.clear();
		expect(pool.inUse).toBe(0);
	});

	it("releases all frames of a backend that is gone, held ones as well, and gives back the budgets", () => {
		const { offer, pool, queue, budgetOf } = queueWith({ controlFramesMax: 1, dataFramesMax: 1 });
		for (let n = 0; n < 8; n++) offer(n % 2 === 0 ? CONTROL : FILE, n);
		queue.clear();
		expect(pool.inUse).toBe(0);
		expect([budgetOf(1).frames, budgetOf(1).bytes, queue.heldCount]).toEqual([0, 0, 0]);
		expect(queue.counters.control).toMatchObject({ offered: 4, discarded: 4, waiting: 0, holding: 0 });
	});

	it(`keeps order, loses no frame that may not be dropped, counts all and releases all (seed ${seed})`, { tags: ["long"] }, () => {
		const step = fc.oneof(
			{
				weight: 6,
				arbitrary: fc.record({
					do: fc.constant("offer" as const),
					frameClass: fc.constantFrom<FrameClass[]>(CONTROL, VIDEO, ACK, FILE),
					client: fc.nat(4),
					bytes: fc.integer({ min: 5, max: 200 }),
				}),
			},
			{
				weight: 2,
				arbitrary: fc.record({ do: fc.constantFrom("control" as const, "data" as const), count: fc.integer({ min: 1, max: 15 }) }),
			},
			{ weight: 2, arbitrary: fc.record({ do: fc.constant("giveUp" as const), client: fc.nat(4) }) },
		);
		const seen = { held: 0, full: 0, dropped: 0, givenUp: 0 };
		fc.assert(
			fc.property(
				fc.array(step, { maxLength: 300, size: "max" }),
				fc.integer({ min: 1, max: 9 }),
				fc.integer({ min: 100, max: 2000 }),
				(steps, framesMax, bytesMax) => {
					const { pool, queue, budgetOf } = queueWith({ controlFramesMax: framesMax, dataFramesMax: framesMax + 1, bytesMax }, 6);
					const expected = new Map<string, number[]>();
					const latestVideo = new Map<number, number>();
					const { control, data } = queue.counters;
					const take = (part: "control" | "data"): boolean => {
						const frame = part === "control" ? queue.nextControl() : queue.nextData();
						if (frame === null) return false;
						const n = numberOf(frame);
						if (frame.frameClass === VIDEO) {
							if (n <= (latestVideo.get(frame.clientId) ?? -1)) expect.fail(`VIDEO ${n} after a newer one`);
							latestVideo.set(frame.clientId, n);
						} else if (expected.get(`${frame.frameClass} ${frame.clientId}`)?.shift() !== n) expect.fail(`frame ${n} out of order`);
						frame.release();
						return true;
					};
					for (const [n, taken] of steps.entries()) {
						if (taken.do === "giveUp") {
							const older = queue.olderVideo(taken.client);
							if (older !== null) {
								seen.givenUp++;
								expect(older.frameClass).toBe(VIDEO);
								if (numberOf(older) <= (latestVideo.get(older.clientId) ?? -1)) expect.fail("it was delivered");
								older.release();
							}
						} else if (taken.do !== "offer") {
							for (let count = 0; count < taken.count && take(taken.do); count++);
						} else {
							const frame = frameOf(pool, { ...taken, backend: 1, n });
							const offered = queue.offer(frame, budgetOf(taken.client));
							frame.release();
							if (offered === "held" || offered === "full" || offered === "dropped") seen[offered]++;
							if (offered === "full") expect(budgetOf(taken.client).frames).toBeGreaterThan(0);
							else if (taken.frameClass !== VIDEO) {
								expect(offered).not.toBe("dropped");
								const key = `${taken.frameClass} ${taken.client}`;
								expected.set(key, [...(expected.get(key) ?? []), n]);
							}
						}
						expect(pool.inUse).toBe(control.waiting + data.waiting);
						expect(control.holding + data.holding).toBe(queue.heldCount);
						expect(queue.dataCount).toBeLessThanOrEqual(framesMax + 1);
						for (const lane of [control, data])
							expect(lane.offered).toBe(lane.delivered + lane.dropped + lane.refused + lane.discarded + lane.waiting);
					}
					while (take("control"));
					while (take("data"));
					expect([...expected.values()].flat()).toEqual([]);
					expect([pool.inUse, control.waiting, data.waiting, queue.heldCount, queue.bytes]).toEqual([0, 0, 0, 0, 0]);
					for (let client = 0; client < 5; client++) expect([budgetOf(client).frames, budgetOf(client).bytes]).toEqual([0, 0]);
				},
			),
			{ seed, numRuns: stressed(100) },
		);
		for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0);
	});
});
