import { describe, expect, it } from "vitest";
import { releaseReader } from "../src/reader-slots.ts";
import { RingLayout } from "../src/ring-descriptor.ts";
import { RingErrorCode } from "../src/ring-error.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { checkPayload, joined, newRing, payload, recordUnitsBytes, take } from "./fixtures.ts";

describe("RingWriter", () => {
	it("gives 8-byte aligned room of the whole length, in which nothing is seen before commit", () => {
		const ring = newRing();
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		const at = writer.claim(13);
		expect(at % 8).toBe(0);
		ring.u8.set(payload(1, 13), at);
		expect(reader.hasRecords()).toBe(false);
		expect(take(reader)).toEqual([]);
		writer.commit();
		expect(reader.hasRecords()).toBe(true);
		expect(take(reader)).toEqual([payload(1, 13)]);
	});

	it("drops a claim that is not committed", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 50; n++) {
			ring.u8.fill(0xff, writer.claim(32));
			expect(writer.write(payload(n, n % 9))).toBe(true);
			expect(take(reader)).toEqual([payload(n, n % 9)]);
		}
	});

	it("refuses a commit without a claim, also a second one", () => {
		const writer = new RingWriter(newRing());
		expect(() => writer.commit()).toThrow(expect.objectContaining({ code: RingErrorCode.misuse }));
		writer.claim(0);
		writer.commit();
		expect(() => writer.commit()).toThrow(expect.objectContaining({ code: RingErrorCode.misuse }));
	});

	it("takes records up to an eighth of the capacity, and refuses longer or odd ones for good", () => {
		const writer = new RingWriter(newRing({ capacityBytes: 1024 }));
		expect(writer.write(payload(0, 128))).toBe(true);
		for (const bytes of [129, 2 ** 32, -1, 1.5, Number.NaN])
			expect(() => writer.claim(bytes)).toThrow(expect.objectContaining({ code: RingErrorCode.recordTooLong }));
		expect(() => writer.write(payload(0, 129))).toThrow(/up to 128/);
		expect(writer.backpressuredCount).toBe(0);
	});

	it("fills the ring to the last byte, then refuses and counts, and overwrites nothing", () => {
		const ring = newRing({ capacityBytes: 1024 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		const written: Uint8Array[] = [];
		// 16 bytes with the header: 64 of them are the capacity exactly.
		for (let n = 0; n < 64; n++) {
			written.push(payload(n, 8));
			expect(writer.write(written[n])).toBe(true);
		}
		expect(writer.depthBytes()).toBe(1024);
		expect(reader.backlogBytes()).toBe(1024);
		expect(writer.claim(0)).toBe(-1);
		expect(writer.write(payload(64, 8))).toBe(false);
		expect(writer.backpressuredCount).toBe(2);
		expect(take(reader, 1)).toEqual([written[0]]);
		expect(writer.write(payload(64, 8))).toBe(true);
		expect(writer.claim(0)).toBe(-1);
		expect(take(reader)).toEqual([...written.slice(1), payload(64, 8)]);
		expect(writer.depthBytes()).toBe(0);
	});

	it("is never full without a live reader", () => {
		const ring = newRing({ capacityBytes: 64 });
		const writer = new RingWriter(ring);
		for (let n = 0; n < 1000; n++) expect(writer.write(payload(n, n % 9))).toBe(true);
		expect(writer.backpressuredCount).toBe(0);
		expect(writer.depthBytes()).toBe(0);
	});

	it("waits for the slowest of several readers, and each gets everything", () => {
		const ring = newRing({ capacityBytes: 256 });
		const readers = [joined(ring, 0), joined(ring, 2), joined(ring, 3)];
		const writer = new RingWriter(ring);
		const written: Uint8Array[] = [];
		const got: Uint8Array[][] = [[], [], []];
		for (let turn = 0; turn < 300; turn++) {
			const next = payload(written.length, written.length % 30);
			if (writer.write(next)) written.push(next);
			got[0].push(...take(readers[0]));
			got[1].push(...take(readers[1], 1));
			if (turn % 3 === 0) got[2].push(...take(readers[2], 2));
		}
		readers.forEach((reader, index) => {
			got[index].push(...take(reader));
			expect(got[index]).toEqual(written);
		});
		expect(writer.backpressuredCount).toBeGreaterThan(0);
	});

	// Every size that a record can have meets every place where one can start, so each length of padding occurs.
	it.each([0, 2 ** 31 - 8, -8])("pads at every residue before the end of the data, from position %d", (startPosition) => {
		const capacityBytes = 256;
		const units = capacityBytes / 8;
		for (let lead = 0; lead < units; lead++)
			for (let bytes = 0; bytes <= 32; bytes++) {
				const ring = newRing({ capacityBytes, startPosition: startPosition + lead });
				const reader = joined(ring);
				const writer = new RingWriter(ring);
				for (let n = 0; n < 3; n++) {
					const index = (ring.words[RingLayout.tailOffset >> 2] & (units - 1)) * 8;
					const padding = index + recordUnitsBytes(bytes) > capacityBytes ? capacityBytes - index : 0;
					const written = writer.write(payload(n, bytes));
					const backlogBytes = reader.backlogBytes();
					const [record, ...more] = take(reader);
					if (!written || more.length > 0 || backlogBytes !== padding + recordUnitsBytes(bytes))
						throw new Error(`${bytes} bytes at ${index}: written ${written}, ${more.length} more, ${backlogBytes} bytes of backlog`);
					checkPayload(record, n, bytes);
				}
			}
	});

	it("does not write a record whose padding alone would still fit", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 7; n++) writer.write(payload(n, 24)); // 224 bytes, 32 left at the end
		expect(take(reader, 1)).toHaveLength(1); // 32 free at the start
		expect(writer.write(payload(7, 32))).toBe(false); // 32 of padding + 40
		expect(take(reader, 1)).toHaveLength(1); // 64 free at the start
		expect(writer.write(payload(7, 32))).toBe(true);
		expect(take(reader).at(-1)).toEqual(payload(7, 32));
	});

	it("absorbs a burst of 2,048 records of 1,000 bytes in 2 MiB while the reader stands still", () => {
		const ring = newRing({ capacityBytes: 2 ** 21 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		let written = 0;
		while (written < 2048 && writer.write(payload(written, 1000))) written++;
		expect(written).toBe(2048);
		expect(writer.depthBytes()).toBe(2048 * 1008);
		expect(writer.backpressuredCount).toBe(0);
		let n = 0;
		reader.read(Number.POSITIVE_INFINITY, (u8, _view, start, end) => {
			checkPayload(u8.subarray(start, end), n++, 1000);
		});
		expect(n).toBe(2048);
	});

	it("goes on where a dead writer stopped, half-written record and counters included", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		const dead = new RingWriter(ring);
		const written: Uint8Array[] = [];
		for (let n = 0; dead.write(payload(n, 20)); n++) written.push(payload(n, 20));
		expect(take(reader, 2)).toEqual(written.splice(0, 2));
		ring.u8.fill(0xff, dead.claim(20), dead.claim(20) + 20); // dies here

		const successor = new RingWriter(ring);
		expect(successor.backpressuredCount).toBe(1);
		for (let n = 100; successor.write(payload(n, 20)); n++) written.push(payload(n, 20));
		expect(take(reader)).toEqual(written);
		expect(successor.backpressuredCount).toBe(2);
	});

	it("goes on at once when the slot of the reader that blocked it is released", () => {
		const ring = newRing({ capacityBytes: 256 });
		const alive = joined(ring, 0);
		const dead = joined(ring, 1);
		const writer = new RingWriter(ring);
		while (writer.write(payload(0, 8))) take(alive);
		expect(dead.backlogBytes()).toBe(256);
		expect(writer.write(payload(1, 8))).toBe(false);
		releaseReader(ring, 1);
		expect(writer.write(payload(1, 8))).toBe(true);
		expect(take(alive)).toEqual([payload(1, 8)]);
		expect(new RingReader(ring, 1).resume()).toBe(false);
	});
});
