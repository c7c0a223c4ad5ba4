import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BufferPool } from "../../src/buffers/buffer-pool.ts";
import { BufferLimits } from "../../src/buffers/buffer-tiers.ts";
import type { Frame } from "../../src/buffers/frame.ts";
import { FrameClass, FrameLayout } from "../../src/frames/frame-descriptor.ts";
import { FrameDecision, FrameReader, type FrameSink, ReaderStatus } from "../../src/frames/frame-reader.ts";
import { type FrameData, numberOf, seed, smallPool, wireOf } from "../support/frames.ts";

const payloadBytesMax = 300;

/** Notes whole frames as text. */
class Collected implements FrameSink {
	readonly frames: string[] = [];
	begin(): FrameDecision {
		return FrameDecision.take;
	}
	end(frame: Frame): boolean {
		this.frames.push(describeFrame(frame.frameClass, frame.clientId, frame.backendId, Buffer.from(frame.wire())));
		return true;
	}
}

function describeFrame(frameClass: number, client: number, backend: number, wire: Buffer): string {
	return `${frameClass} ${client} ${backend} ${wire.toString("hex")}`;
}

/** The same said the slow way: all bytes at once, and Node's own readers of numbers. */
function parseWhole(bytes: Buffer): { frames: string[]; unknown: number; problem: string | null; rest: number } {
	const frames: string[] = [];
	let unknown = 0;
	let at = 0;
	for (;;) {
		const rest = bytes.length - at;
		if (rest < 4) return { frames, unknown, problem: null, rest };
		const length = bytes.readUInt32BE(at);
		if (length === 0) return { frames, unknown, problem: "empty", rest };
		if (length > payloadBytesMax) return { frames, unknown, problem: "too_long", rest };
		if (rest < 12 + length) return { frames, unknown, problem: null, rest };
		const frameClass = bytes.readUInt8(at + 12);
		const wire = bytes.subarray(at, at + 12 + length);
		if (frameClass > 4) unknown++;
		else frames.push(describeFrame(frameClass, bytes.readUInt32BE(at + 4), bytes.readUInt32BE(at + 8), wire));
		at += 12 + length;
	}
}

/** All frames of bytes that have no fault. */
function parseFrames(bytes: Buffer): string[] {
	const frames: string[] = [];
	for (let at = 0; at < bytes.length; at += 12 + bytes.readUInt32BE(at))
		frames.push(
			describeFrame(
				bytes[at + 12]!,
				bytes.readUInt32BE(at + 4),
				bytes.readUInt32BE(at + 8),
				bytes.subarray(at, at + 12 + bytes.readUInt32BE(at)),
			),
		);
	return frames;
}

/** Pushes pieces that end at the given offsets, each in a buffer that is written over afterwards, as a socket's is. */
function readPieces(bytes: Buffer, ends: readonly number[], pool = smallPool()) {
	const reader = new FrameReader(pool, payloadBytesMax);
	const collected = new Collected();
	let from = 0;
	for (const end of [...ends, bytes.length]) {
		if (end < from) continue;
		const piece = Buffer.alloc(end - from + 3, 0xee);
		bytes.copy(piece, 2, from, end);
		const at = reader.push(piece, 2, 2 + end - from, collected);
		if (reader.status !== ReaderStatus.failed && at !== 2 + end - from) throw new Error("bytes were left though all frames were taken");
		piece.fill(0xee);
		from = end;
	}
	const isBetweenFrames = reader.isBetweenFrames;
	reader.close();
	return { reader, frames: collected.frames, problem: reader.problem, unknown: reader.counters.unknownClass, isBetweenFrames, pool };
}

const u32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1), fc.nat(100));
const frameData: fc.Arbitrary<FrameData> = fc.record({
	frameClass: fc.oneof({ weight: 8, arbitrary: fc.nat(4) }, { weight: 1, arbitrary: fc.integer({ min: 5, max: 255 }) }),
	client: u32,
	backend: u32,
	bytes: fc.oneof(fc.constantFrom(1, 2, 16, 17, 64, 65, payloadBytesMax), fc.integer({ min: 1, max: payloadBytesMax })),
	n: fc.nat(),
});

describe("frame reader", () => {
	it("reads the same frames at every split point", () => {
		const data = [1, 2, 3, 40].map((bytes, n): FrameData => ({ frameClass: n % 5, client: 2 ** 31 + n, backend: n, bytes, n }));
		data.push({ frameClass: 9, client: 1, backend: 1, bytes: 5, n: 5 }, { frameClass: 1, client: 1, backend: 1, bytes: 20, n: 6 });
		const bytes = Buffer.concat(data.map(wireOf));
		const expected = parseWhole(bytes);
		const shared = smallPool();
		expect(expected.frames).toHaveLength(5);
		for (let first = 0; first <= bytes.length; first++)
			for (let second = first; second <= bytes.length; second++) {
				const { frames, unknown, pool } = readPieces(bytes, [first, second], shared);
				if (frames.join() !== expected.frames.join()) expect.fail(`split at ${first} and ${second}: ${frames.join("\n")}`);
				if (unknown !== 1 || pool.inUse !== 0) expect.fail(`split at ${first} and ${second}: ${unknown} unknown, ${pool.inUse} in use`);
			}
		const single = readPieces(
			bytes,
			Array.from({ length: bytes.length }, (_, at) => at),
		);
		expect(single.frames).toEqual(expected.frames);
	});

	it(`agrees with a parser of whole inputs, on damaged ones as well (seed ${seed})`, { tags: ["long"] }, () => {
		const damage = fc.record({ at: fc.nat(), value: fc.nat(255) });
		let problems = 0;
		fc.assert(
			fc.property(
				fc.array(frameData, { maxLength: 8 }),
				fc.option(damage, { freq: 3 }),
				fc.nat(),
				fc.array(fc.nat(3000), { maxLength: 30 }),
				(data, damaged, cut, splits) => {
					const whole = Buffer.concat(data.map(wireOf));
					const bytes = whole.subarray(0, whole.length - (cut % 3 === 0 ? cut % (whole.length + 1) : 0));
					if (damaged !== null && bytes.length > 0) bytes[damaged.at % bytes.length] = damaged.value;
					const ends = splits.map((split) => split % (bytes.length + 1)).sort((a, b) => a - b);
					const expected = parseWhole(bytes);
					const read = readPieces(bytes, ends);
					if (expected.problem !== null) problems++;
					expect(read.frames).toEqual(expected.frames);
					expect(read.problem).toBe(expected.problem);
					if (expected.problem === null) expect(read.isBetweenFrames).toBe(expected.rest === 0);
					// An unknown class counts when it is seen, not when its frame is complete.
					if (expected.problem === null && expected.rest === 0) expect(read.unknown).toBe(expected.unknown);
					expect(read.pool.inUse).toBe(0);
				},
			),
			{ seed, numRuns: stressed(500) },
		);
		expect(problems).toBeGreaterThan(5);
	});

	it.each([
		["empty", 0, "empty"],
		["above the limit", payloadBytesMax + 1, "too_long"],
		["four bytes of 0xff", 2 ** 32 - 1, "too_long"],
	])("fails on a length that is %s, as soon as its four bytes are there, before it takes a buffer", (_, length, problem) => {
		const pool = smallPool();
		const reader = new FrameReader(pool, payloadBytesMax);
		const collected = new Collected();
		const bytes = Buffer.alloc(20);
		bytes.writeUInt32BE(length);
		expect(reader.push(bytes, 0, 3, collected)).toBe(3);
		expect(reader.status).toBe(ReaderStatus.hungry);
		reader.push(bytes, 3, 4, collected);
		expect(reader.status).toBe(ReaderStatus.failed);
		expect(reader.problem).toBe(problem);
		expect(reader.problemLength).toBe(length);
		expect(reader.counters.empty + reader.counters.tooLong).toBe(1);
		expect(pool.reservedBytes).toBe(0);
		expect(reader.push(bytes, 4, 20, collected)).toBe(4);
		expect(collected.frames).toEqual([]);
	});

	it("takes a frame of exactly the limit, and refuses a limit that no buffer could hold", () => {
		const bytes = wireOf({ frameClass: FrameClass.FILE, client: 1, backend: 2, bytes: payloadBytesMax, n: 1 });
		expect(readPieces(bytes, [100]).frames).toHaveLength(1);
		const reader = new FrameReader(smallPool(), 512);
		expect(() => {
			reader.payloadBytesMax = 513;
		}).toThrow("frames of up to 513 bytes: the largest buffer takes 512");
		expect(() => new FrameReader(smallPool(), 513)).toThrow(RangeError);
	});

	it("asks about a frame at its first payload byte, and reads over what is skipped without a buffer", () => {
		const pool = smallPool();
		const reader = new FrameReader(pool, payloadBytesMax);
		const asked: number[][] = [];
		const ended: number[] = [];
		const sink: FrameSink = {
			begin: (...head) => {
				asked.push(head);
				return head[2] === 7 ? FrameDecision.skip : FrameDecision.take;
			},
			end: (frame) => {
				ended.push(frame.clientId);
				return true;
			},
		};
		const bytes = Buffer.concat([7, 8].map((client) => wireOf({ frameClass: FrameClass.FILE, client, backend: 3, bytes: 50, n: 1 })));
		reader.push(bytes, 0, FrameLayout.headerBytes, sink);
		expect(asked).toEqual([]);
		reader.push(bytes, FrameLayout.headerBytes, FrameLayout.headerBytes + 1, sink);
		expect(asked).toEqual([[FrameClass.FILE, 50, 7, 3]]);
		reader.push(bytes, FrameLayout.headerBytes + 1, bytes.length, sink);
		expect(asked).toHaveLength(2);
		expect(ended).toEqual([8]);
		expect(pool.tiers.map((tier) => tier.allocations)).toEqual([0, 1, 0]);
	});

	it("waits before the payload while the sink says so, and goes on where it stopped", () => {
		const pool = smallPool();
		const reader = new FrameReader(pool, payloadBytesMax);
		const collected = new Collected();
		let decision: FrameDecision = FrameDecision.wait;
		const sink: FrameSink = { begin: () => decision, end: (frame) => collected.end(frame) };
		const bytes = wireOf({ frameClass: FrameClass.CONTROL, client: 1, backend: 2, bytes: 30, n: 1 });
		const at = reader.push(bytes, 0, bytes.length, sink);
		expect(at).toBe(FrameLayout.headerBytes + 1);
		expect(reader.status).toBe(ReaderStatus.waiting);
		expect(reader.push(bytes, at, bytes.length, sink)).toBe(at);
		expect(pool.inUse).toBe(0);
		decision = FrameDecision.take;
		expect(reader.push(bytes, at, bytes.length, sink)).toBe(bytes.length);
		expect(reader.status).toBe(ReaderStatus.hungry);
		expect(collected.frames).toEqual(parseWhole(bytes).frames);
	});

	it("stops after a frame when told so: the rest is pushed later", () => {
		const reader = new FrameReader(smallPool(), payloadBytesMax);
		const bytes = Buffer.concat([1, 2, 3].map((n) => wireOf({ frameClass: FrameClass.CONTROL, client: n, backend: 2, bytes: 1, n })));
		const seen: number[] = [];
		const sink: FrameSink = { begin: () => FrameDecision.take, end: (frame) => seen.push(frame.clientId) < 2 };
		const at = reader.push(bytes, 0, bytes.length, sink);
		expect(seen).toEqual([1, 2]);
		expect([at, reader.status]).toEqual([26, ReaderStatus.stopped]);
		expect(reader.push(bytes, at, bytes.length, sink)).toBe(bytes.length);
		expect(seen).toEqual([1, 2, 3]);
	});

	it("without a buffer drops VIDEO, counted, and lets every other class wait", () => {
		const pool = new BufferPool({ tiers: [{ bytes: 64, buffersMax: 1 }] });
		const held = pool.take(1)!;
		let freed = 0;
		pool.onFreed = () => freed++;
		const reader = new FrameReader(pool, 64);
		const collected = new Collected();
		const classes = [FrameClass.VIDEO, FrameClass.FILE, FrameClass.VIDEO];
		const bytes = Buffer.concat(classes.map((frameClass, n) => wireOf({ frameClass, client: n, backend: 0, bytes: 20, n })));
		const at = reader.push(bytes, 0, bytes.length, collected);
		expect(reader.status).toBe(ReaderStatus.starved);
		expect([reader.counters.droppedWithoutBuffer, reader.counters.starved, freed]).toEqual([1, 1, 0]);
		held.release();
		expect(freed).toBe(1);
		expect(reader.push(bytes, at, bytes.length, collected)).toBe(bytes.length);
		expect(collected.frames).toEqual(parseWhole(bytes).frames.slice(1));
		expect(reader.counters.frames).toBe(2);
		expect(reader.counters.bytes).toBe(40);
		expect(pool.inUse).toBe(0);
	});

	it("without a buffer gives VIDEO that of an older frame which waits, also in its middle, and lets it be dropped if there is none", () => {
		const pool = new BufferPool({ memoryBytesMax: 32 * 2 ** 20 });
		const share = pool.connectionShare();
		const waiting: Frame[] = [];
		const asked: number[] = [];
		const reader = new FrameReader(pool, undefined, undefined, share, {
			olderVideo: (client) => {
				asked.push(client);
				return waiting.shift() ?? null;
			},
		});
		let n = 0;
		const push = (bytes: number): void => {
			const wire = wireOf({ frameClass: FrameClass.VIDEO, client: 2 ** 31 + 6, backend: 1, bytes, n: n++ });
			const sink: FrameSink = {
				begin: () => FrameDecision.take,
				end: (frame) => {
					frame.retain();
					return waiting.push(frame) > 0;
				},
			};
			for (let at = 0; at < wire.length; at += 65_536) reader.push(wire, at, Math.min(at + 65_536, wire.length), sink);
		};
		for (let count = 0; count < 100; count++) push(200_000);
		expect(asked.length).toBeGreaterThan(50);
		expect(new Set(asked)).toEqual(new Set([2 ** 31 + 6]));
		// It begins in one of them, and then needs the memory of four.
		const before = waiting.length;
		push(900_000);
		expect(before - waiting.length).toBeGreaterThan(1);
		expect(waiting.map(numberOf)).toEqual(Array.from({ length: waiting.length }, (_, index) => 101 - waiting.length + index));
		expect(reader.counters.droppedWithoutBuffer).toBe(0);
		const kept: Frame[] = [];
		for (let count = 0; count < 100 && reader.counters.droppedWithoutBuffer === 0; count++) {
			kept.push(...waiting.splice(0));
			push(200_000);
		}
		expect([reader.counters.droppedWithoutBuffer, waiting.length]).toEqual([1, 0]);
		for (const frame of kept) frame.release();
		expect([pool.inUse, share.bytes]).toEqual([0, 0]);
	});

	describe("a frame that is longer than what it first has a buffer for", () => {
		const mebibyte = 2 ** 20;
		const data = (bytes: number, frameClass: FrameClass = FrameClass.FILE): FrameData => ({
			frameClass,
			client: 1,
			backend: 2,
			bytes,
			n: 7,
		});
		/** From the size on with which such a frame begins. */
		const inUse = (pool: BufferPool) => pool.tiers.filter(({ bytes }) => bytes >= BufferLimits.partBytesMin).map((tier) => tier.inUse);

		it.each([256 * 1024, 256 * 1024 + 1, mebibyte, mebibyte + 1, 8 * mebibyte])(
			"of %i bytes comes whole, in pieces of any size",
			(bytes) => {
				const wire = Buffer.concat([wireOf(data(bytes)), wireOf(data(5))]);
				for (const pieceBytes of [65_536, 100_003, wire.length]) {
					const pool = new BufferPool({ memoryBytesMax: 40 * mebibyte });
					const reader = new FrameReader(pool);
					const got: Buffer[] = [];
					const sink: FrameSink = { begin: () => FrameDecision.take, end: (frame) => got.push(Buffer.from(frame.wire())) > 0 };
					for (let at = 0; at < wire.length; at += pieceBytes) reader.push(wire, at, Math.min(at + pieceBytes, wire.length), sink);
					expect(Buffer.concat(got).equals(wire)).toBe(true);
					expect(pool.inUse).toBe(0);
				}
			},
		);

		it("has only memory for what has come", () => {
			const pool = new BufferPool({ memoryBytesMax: 40 * mebibyte });
			const reader = new FrameReader(pool);
			const wire = wireOf(data(8 * mebibyte));
			reader.push(wire, 0, 13, new Collected());
			expect([inUse(pool), pool.inUse]).toEqual([[1, 0, 0], 1]);
			reader.push(wire, 13, 300_000, new Collected());
			expect(inUse(pool)).toEqual([0, 1, 0]);
			reader.push(wire, 300_000, 2 * mebibyte, new Collected());
			expect(inUse(pool)).toEqual([0, 0, 1]);
			reader.close();
			expect(pool.inUse).toBe(0);
		});

		it("waits for a larger buffer with what has come, or is dropped from its middle on if it is VIDEO", () => {
			const pool = new BufferPool({ memoryBytesMax: 40 * mebibyte });
			const taken: Frame[] = [];
			for (const frameClass of [FrameClass.VIDEO, FrameClass.FILE]) {
				const reader = new FrameReader(pool);
				const collected = new Collected();
				const [long, next] = [wireOf(data(2 * mebibyte, frameClass)), wireOf(data(5))];
				const wire = Buffer.concat([long, next]);
				const at = reader.push(wire, 0, 500_000, collected);
				expect([at, reader.status]).toEqual([500_000, ReaderStatus.hungry]);
				for (let frame = pool.take(8 * mebibyte); frame !== null; frame = pool.take(8 * mebibyte)) taken.push(frame);
				const to = reader.push(wire, at, wire.length, collected);
				expect(reader.counters.droppedWithoutBuffer).toBe(frameClass === FrameClass.VIDEO ? 1 : 0);
				if (frameClass === FrameClass.FILE) {
					expect([reader.status, to]).toEqual([ReaderStatus.starved, mebibyte + FrameLayout.headerBytes]);
					expect(reader.push(wire, to, to, collected)).toBe(to);
					expect(reader.status).toBe(ReaderStatus.starved);
				}
				for (const frame of taken.splice(0)) frame.release();
				expect(reader.push(wire, to, wire.length, collected)).toBe(wire.length);
				expect(collected.frames).toEqual(parseFrames(frameClass === FrameClass.VIDEO ? next : wire));
			}
			expect(pool.inUse).toBe(0);
		});

		it("never waits only for others that wait as well", () => {
			const pool = new BufferPool({ memoryBytesMax: 40 * mebibyte });
			const wire = wireOf(data(8 * mebibyte));
			const readers = Array.from({ length: 64 }, () => ({ reader: new FrameReader(pool), at: 0, whole: 0 }));
			const step = (each: (typeof readers)[number], bytes: number): void => {
				const sink: FrameSink = { begin: () => FrameDecision.take, end: () => ++each.whole > 0 };
				each.at = each.reader.push(wire, each.at, Math.min(each.at + bytes, wire.length), sink);
			};
			// All as far as they come, again and again.
			for (let round = 0; round < 4000 && readers.some(({ whole }) => whole === 0); round++)
				for (const each of readers) if (each.whole === 0) step(each, 65_536);
			expect(readers.filter(({ whole }) => whole === 0)).toHaveLength(0);
			expect(pool.inUse).toBe(0);
		});
	});

	it("may be closed by its sink, and releases a frame that has come in part", () => {
		const bytes = Buffer.concat([1, 2].map((n) => wireOf({ frameClass: FrameClass.CONTROL, client: n, backend: 2, bytes: 40, n })));
		const pool = smallPool();
		const partly = new FrameReader(pool, payloadBytesMax);
		partly.push(bytes, 0, 30, new Collected());
		expect(pool.inUse).toBe(1);
		partly.close();
		expect(pool.inUse).toBe(0);

		const reader = new FrameReader(pool, payloadBytesMax);
		let ended = 0;
		const closing = (): boolean => {
			ended++;
			reader.close();
			return true;
		};
		reader.push(bytes, 0, bytes.length, { begin: () => FrameDecision.take, end: closing });
		expect([ended, reader.status, pool.inUse]).toEqual([1, ReaderStatus.failed, 0]);
	});

	it("releases the frame when the sink throws", () => {
		const pool = smallPool();
		const reader = new FrameReader(pool, payloadBytesMax);
		const bytes = wireOf({ frameClass: FrameClass.CONTROL, client: 1, backend: 2, bytes: 40, n: 1 });
		const sink: FrameSink = {
			begin: () => FrameDecision.take,
			end: () => {
				throw new Error("planned");
			},
		};
		expect(() => reader.push(bytes, 0, bytes.length, sink)).toThrow("planned");
		expect(pool.inUse).toBe(0);
	});
});
