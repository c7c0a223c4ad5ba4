import { describe, expect, it } from "vitest";
import { registerReader } from "../src/reader-slots.ts";
import { attachRing, createRing, ringBytes } from "../src/ring.ts";
import { RingLayout } from "../src/ring-descriptor.ts";
import { RingError, RingErrorCode } from "../src/ring-error.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { joined, newRing, payload, take } from "./fixtures.ts";

const errorOf = (act: () => unknown): RingError => {
	try {
		act();
	} catch (error) {
		if (error instanceof RingError) return error;
		throw error;
	}
	throw new Error("nothing was thrown");
};

describe("a ring's memory", () => {
	it("takes three lines, a line per reader, and its capacity", () => {
		expect(ringBytes(2 ** 21, 64)).toBe(3 * 128 + 64 * 128 + 2 ** 21);
	});

	it("keeps the words of different writers 128 bytes apart", () => {
		const { magicOffset, tailOffset, backpressuredOffset, readersOffset, lineBytes } = RingLayout;
		expect([tailOffset - magicOffset, backpressuredOffset - tailOffset, readersOffset - backpressuredOffset]).toEqual([128, 128, 128]);
		expect(lineBytes).toBe(128);
	});

	it.each([0, 32, 96, 1000, 2 ** 31, -64, 64.5, Number.NaN])("refuses a capacity of %d bytes", (capacityBytes) => {
		expect(errorOf(() => ringBytes(capacityBytes, 1)).code).toBe(RingErrorCode.badArgument);
	});

	it.each([0, -1, 257, 1.5])("refuses %d readers", (readersMax) => {
		expect(errorOf(() => ringBytes(1024, readersMax)).code).toBe(RingErrorCode.badArgument);
	});

	it("refuses memory that is too small or not aligned", () => {
		const bytes = ringBytes(1024, 2);
		expect(errorOf(() => createRing(new ArrayBuffer(bytes - 1), { capacityBytes: 1024, readersMax: 2 })).code).toBe("RING_BAD_ARGUMENT");
		const options = { capacityBytes: 1024, readersMax: 2, byteOffset: 4 };
		expect(errorOf(() => createRing(new ArrayBuffer(bytes + 64), options)).code).toBe("RING_BAD_ARGUMENT");
	});

	it("is found by whoever attaches, at an offset as well, with nothing outside it touched", () => {
		const capacityBytes = 256;
		const bytes = ringBytes(capacityBytes, 2);
		const buffer = new SharedArrayBuffer(bytes + 128);
		const all = new Uint8Array(buffer).fill(0xee);
		const ring = createRing(buffer, { capacityBytes, readersMax: 2, byteOffset: 64 });
		const attached = attachRing(buffer, 64);
		expect(attached).toEqual(ring);
		expect(attached.recordBytesMax).toBe(32);

		const reader = joined(attached);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 40; n++) {
			expect(writer.write(payload(n, n % 33))).toBe(true);
			expect(take(reader)).toEqual([payload(n, n % 33)]);
		}
		expect(all.subarray(0, 64).every((byte) => byte === 0xee)).toBe(true);
		expect(all.subarray(64 + bytes).every((byte) => byte === 0xee)).toBe(true);
	});

	it("is empty again after it is formatted again", () => {
		const ring = newRing();
		joined(ring);
		new RingWriter(ring).write(payload(1, 20));
		createRing(ring.u8.buffer, { capacityBytes: 1024, readersMax: 4 });
		expect(new RingWriter(ring).depthBytes()).toBe(0);
		expect(new RingReader(ring, 0).resume()).toBe(false);
	});

	it("is refused with what and fix when it is none, another version, or cut short", () => {
		const none = errorOf(() => attachRing(new ArrayBuffer(4096)));
		expect(none.code).toBe(RingErrorCode.notARing);
		expect(none.message).toContain("magic 0x0");
		expect(none.message).toContain(none.fix);

		expect(errorOf(() => attachRing(new ArrayBuffer(16))).code).toBe(RingErrorCode.notARing);

		const ring = newRing();
		ring.words[RingLayout.versionOffset >> 2] = (7 << 16) | 4;
		expect(errorOf(() => attachRing(ring.u8.buffer)).message).toContain(
			"has layout version 7.4, and this program uses 2.x: these programs can't",
		);

		const half = newRing({ capacityBytes: 1024 }).u8.slice(0, 1024);
		expect(errorOf(() => attachRing(half.buffer)).message).toContain(`1024 bytes of memory for a ring that takes ${ringBytes(1024, 4)}`);

		const odd = newRing();
		odd.words[RingLayout.capacityOffset >> 2] = 1000;
		expect(errorOf(() => attachRing(odd.u8.buffer)).code).toBe(RingErrorCode.notARing);

		for (const [readersAt, dataAt] of [
			[0, 896],
			[384, 400],
			[388, 1024],
			[384, 2 ** 21],
			[384, 904],
		] as const) {
			const moved = newRing();
			moved.words[RingLayout.readersOffsetOffset >> 2] = readersAt;
			moved.words[RingLayout.dataOffsetOffset >> 2] = dataAt;
			expect(errorOf(() => attachRing(moved.u8.buffer)).code, `${readersAt}, ${dataAt}`).toBe(RingErrorCode.notARing);
		}
	});

	it("of a newer minor version is used where its header says", () => {
		const capacityBytes = 256;
		const [readersAt, dataAt] = [512, 1024];
		const buffer = new SharedArrayBuffer(dataAt + capacityBytes);
		const before = createRing(buffer, { capacityBytes, readersMax: 2 });
		before.words[RingLayout.versionOffset >> 2]! += 3;
		before.words[RingLayout.readersOffsetOffset >> 2] = readersAt;
		before.words[RingLayout.dataOffsetOffset >> 2] = dataAt;
		const [ring, other] = [attachRing(buffer), attachRing(buffer)];
		registerReader(ring, 1);
		const [reader, resumed] = [joined(ring), new RingReader(other, 1)];
		expect(resumed.resume()).toBe(true);
		const writer = new RingWriter(other);
		for (let n = 0; n < 40; n++) {
			expect(writer.write(payload(n, n % 33))).toBe(true);
			expect(take(reader)).toEqual([payload(n, n % 33)]);
			expect(take(resumed)).toEqual([payload(n, n % 33)]);
		}
		const used = new Uint8Array(buffer);
		expect(
			used.subarray(RingLayout.readersOffset, readersAt).every((byte) => byte === 0),
			"nothing lies where it lay before",
		).toBe(true);
		expect(new Int32Array(buffer)[readersAt >> 2], "reader 0's head").not.toBe(0);
	});
});
