import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { BufferLimits, bufferTiers } from "../../src/buffers/buffer-tiers.ts";
import type { Frame } from "../../src/buffers/frame.ts";
import { FrameClass } from "../../src/frames/frame-descriptor.ts";
import { frameOf, payloadOf, seed, smallPool, wireOf } from "../support/frames.ts";

describe("buffer pool", () => {
	it("has no memory before a frame is taken, and then a slab", () => {
		const pool = new BufferPool();
		expect(pool.reservedBytes).toBe(0);
		const frame = pool.take(100)!;
		expect(pool.reservedBytes).toBeGreaterThan(0);
		expect(pool.reservedBytes).toBeLessThanOrEqual(BufferLimits.slabBytes);
		expect(pool.tiers[0]).toMatchObject({ bytes: 512, allocations: 1, frees: 0, inUse: 1, highWater: 1, exhausted: 0 });
		frame.release();
		expect(pool.tiers[0]).toMatchObject({ allocations: 1, frees: 1, inUse: 0, highWater: 1 });
	});

	it("gives each length the smallest tier that takes it", () => {
		const pool = new BufferPool();
		for (const [index, { bytes }] of bufferTiers.entries()) {
			for (const length of [bytes, bytes + 1]) {
				if (length > pool.payloadBytesMax) continue;
				const frame = pool.take(length)!;
				expect(frame.length).toBe(length);
				expect(frame.bytes.length - frame.end).toBeGreaterThanOrEqual(0);
				expect(pool.tiers.findIndex((tier) => tier.inUse > 0)).toBe(length > bytes ? index + 1 : index);
				frame.release();
			}
		}
		expect(() => pool.take(0)).toThrow("a payload of 0 bytes: buffers take 1 to 8388608");
		expect(() => pool.take(8 * 2 ** 20 + 1)).toThrow(RangeError);
		expect(() => pool.take(Number.NaN)).toThrow(RangeError);
		expect(() => new BufferPool({ tiers: [...bufferTiers].reverse() })).toThrow(RangeError);
	});

	it("asks the next larger tier, and then no other: counted", () => {
		const pool = new BufferPool({
			tiers: [
				{ bytes: 16, buffersMax: 1 },
				{ bytes: 32, buffersMax: 1 },
				{ bytes: 64, buffersMax: 1 },
			],
		});
		expect([pool.take(10), pool.take(10), pool.take(10)].map((frame) => frame === null)).toEqual([false, false, true]);
		expect(pool.tiers.map((tier) => tier.exhausted)).toEqual([2, 1, 0]);
		expect(pool.refused).toBe(1);
	});

	it("says once that a buffer has come back, after a take was refused", () => {
		const pool = new BufferPool({ tiers: [{ bytes: 16, buffersMax: 2 }] });
		let freed = 0;
		pool.onFreed = () => freed++;
		const frames = [pool.take(1)!, pool.take(1)!];
		frames[0].release();
		expect(freed).toBe(0);
		frames[0] = pool.take(1)!;
		expect(pool.take(1)).toBeNull();
		for (const frame of frames) frame.release();
		expect(freed).toBe(1);
	});

	it("refuses to release or retain what has no reference left", () => {
		const frame = smallPool().take(5)!;
		frame.retain();
		frame.release();
		frame.release();
		expect(() => frame.release()).toThrow("a frame was released twice");
		expect(() => frame.retain()).toThrow("a frame was retained after its last release");
	});

	it("keeps within its memory, and takes unused memory from other tiers", () => {
		const mebibyte = 2 ** 20;
		const pool = new BufferPool({ memoryBytesMax: 20 * mebibyte });
		const large = Array.from({ length: 18 }, () => pool.take(mebibyte)!);
		expect(pool.reservedBytes).toBeGreaterThan(18 * mebibyte);
		expect(pool.take(8 * mebibyte)).toBeNull();
		large.splice(0, 9).forEach((frame) => {
			frame.release();
		});
		const largest = pool.take(8 * mebibyte)!;
		expect(largest.length).toBe(8 * mebibyte);
		expect(pool.reservedBytes).toBeLessThanOrEqual(20 * mebibyte);
		const tier = pool.tiers.find(({ bytes }) => bytes === mebibyte)!;
		expect(tier.inUse).toBe(9);
		expect(tier.buffers).toBeLessThan(18);
		for (const frame of [...large, largest]) frame.release();
		expect(pool.giveUp()).toBeGreaterThan(0);
		expect(pool.reservedBytes).toBe(0);
	});

	it("gives up any slab that is not in use, and goes on with the buffers of the others", () => {
		const pool = new BufferPool({ tiers: [{ bytes: 4096, buffersMax: 1000 }] });
		const frames = Array.from({ length: 45 }, () => pool.take(4000)!);
		const slabBytes = pool.reservedBytes / 3;
		// All of the second, and in between one of each other.
		for (const frame of [...frames.slice(15, 20), frames[3]!, ...frames.slice(20, 30), frames[33]!]) frame.release();
		expect([pool.giveUp(1), pool.giveUp(), pool.reservedBytes]).toEqual([slabBytes, 0, 2 * slabBytes]);
		const again = [pool.take(4000)!, pool.take(4000)!];
		expect(again).toEqual([frames[33], frames[3]]);
		const kept = [...frames.slice(0, 15), ...frames.slice(30)];
		expect(kept).not.toContain(pool.take(4000));
		for (const frame of kept) frame.release();
		expect([pool.giveUp(), pool.reservedBytes, pool.inUse]).toEqual([2 * slabBytes, slabBytes, 1]);
	});

	it("has the frame's bytes as a message and as TCP has them, without a new object for a length that was there", () => {
		const pool = smallPool();
		const data = { frameClass: FrameClass.FILE, client: 2 ** 31 + 5, backend: 7, bytes: 40, n: 3 };
		const frame = frameOf(pool, data);
		expect(Buffer.from(frame.wire())).toEqual(wireOf(data));
		expect(Buffer.from(frame.message())).toEqual(wireOf(data).subarray(4));
		expect([frame.frameClass, frame.clientId, frame.backendId, frame.wireBytes]).toEqual([FrameClass.FILE, 2 ** 31 + 5, 7, 52]);
		const into = Buffer.alloc(60, 0xee);
		expect(frame.copyWire(into, 3)).toBe(55);
		expect(into).toEqual(Buffer.concat([Buffer.alloc(3, 0xee), wireOf(data), Buffer.alloc(5, 0xee)]));

		const messages = new Set([frame.message()]);
		frame.release();
		for (const bytes of [41, 40, 64, 41, 40]) {
			const again = frameOf(pool, { ...data, bytes });
			expect(again).toBe(frame);
			expect(again.message()).toHaveLength(bytes + 8);
			messages.add(again.message());
			again.release();
		}
		expect(messages.size).toBe(3);
		expect(pool.views.made).toBe(4);
	});

	it("keeps at most viewsMax views: a buffer that wants more gives up its own", () => {
		const pool = new BufferPool({ tiers: [{ bytes: 64, buffersMax: 2 }], viewsMax: 3 });
		const [one, two] = [frameOf(pool, { frameClass: 1, client: 1, backend: 1, bytes: 64, n: 1 }), pool.take(64)!];
		for (const length of [10, 11, 12]) {
			one.length = length;
			expect(one.message()).toHaveLength(length + 8);
		}
		two.length = 20;
		expect(two.message()).toHaveLength(28);
		expect(two.message()).toBe(two.message());
		expect([pool.views.count, pool.views.forgotten]).toEqual([3, 0]);
		one.length = 13;
		expect(one.message()).toHaveLength(21);
		expect([pool.views.count, pool.views.forgotten]).toEqual([1, 3]);
		two.length = 21;
		two.message();
		expect(pool.views.count).toBe(2);
		one.release();
		two.release();
		pool.giveUp();
		expect(pool.views.count).toBe(0);
	});

	it(`never gives one buffer to two frames, counts right, and has all back in the end (seed ${seed})`, { tags: ["long"] }, () => {
		const step = fc.oneof(
			{ weight: 5, arbitrary: fc.record({ do: fc.constant("take" as const), bytes: fc.integer({ min: 5, max: 512 }) }) },
			{ weight: 4, arbitrary: fc.record({ do: fc.constantFrom("release" as const, "retain" as const), which: fc.nat() }) },
			{ weight: 1, arbitrary: fc.record({ do: fc.constant("giveUp" as const), bytes: fc.nat(200_000) }) },
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 200, size: "max" }), fc.integer({ min: 70_000, max: 200_000 }), (steps, memoryBytesMax) => {
				const pool = smallPool(memoryBytesMax);
				const live: { frame: Frame; references: number; payload: Buffer }[] = [];
				let refused = 0;
				for (const [n, taken] of steps.entries()) {
					if (taken.do === "take") {
						const frame = pool.take(taken.bytes);
						if (frame === null) {
							refused++;
							continue;
						}
						const payload = payloadOf({ frameClass: 1, bytes: taken.bytes, n });
						frame.fill(payload);
						frame.seal(n, n);
						live.push({ frame, references: 1, payload });
					} else if (taken.do === "giveUp") pool.giveUp(taken.bytes);
					else if (live.length > 0) {
						const index = taken.which % live.length;
						const entry = live[index];
						if (taken.do === "retain") entry.references++;
						else entry.references--;
						entry.frame[taken.do]();
						if (entry.references === 0) live.splice(index, 1);
					}
					expect(pool.inUse).toBe(live.length);
					expect(pool.reservedBytes).toBeLessThanOrEqual(memoryBytesMax);
					expect(pool.reservedBytes).toBe(pool.tiers.reduce((sum, tier) => sum + tier.reservedBytes, 0));
				}
				expect(pool.refused).toBe(refused);
				for (const { frame, references, payload } of live) {
					expect(Buffer.from(frame.message()).subarray(8).equals(payload)).toBe(true);
					for (let count = 0; count < references; count++) frame.release();
				}
				expect(pool.inUse).toBe(0);
				for (const tier of pool.tiers) expect(tier.allocations).toBe(tier.frees);
				pool.giveUp();
				expect(pool.reservedBytes).toBe(0);
			}),
			{ seed, numRuns: stressed(100) },
		);
	});
});
