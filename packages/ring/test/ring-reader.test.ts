import { describe, expect, it } from "vitest";
import { registerReader, releaseReader } from "../src/reader-slots.ts";
import { RingLayout } from "../src/ring-descriptor.ts";
import { RingErrorCode } from "../src/ring-error.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { joined, newRing, payload, take } from "./fixtures.ts";

const corrupt = expect.objectContaining({ code: RingErrorCode.corrupt });

describe("RingReader", () => {
	it("gets nothing from before it joined, and all from then on", () => {
		const ring = newRing();
		const writer = new RingWriter(ring);
		writer.write(payload(1, 10));
		const reader = joined(ring);
		expect(reader.hasRecords()).toBe(false);
		expect(reader.backlogBytes()).toBe(0);
		writer.write(payload(2, 10));
		expect(take(reader)).toEqual([payload(2, 10)]);
	});

	it("visits at most `max` records, in order, and keeps the rest", () => {
		const ring = newRing();
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 10; n++) writer.write(payload(n, 9));
		expect(take(reader, 0)).toEqual([]);
		expect(take(reader, 4)).toEqual([0, 1, 2, 3].map((n) => payload(n, 9)));
		expect(reader.backlogBytes()).toBe(6 * 24);
		expect(reader.read(100, () => {})).toBe(6);
		expect(reader.hasRecords()).toBe(false);
	});

	it("ends after the record with which it has visited so many bytes", () => {
		const ring = newRing();
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (const bytes of [10, 10, 50, 10]) writer.write(payload(0, bytes));
		const sizes: number[] = [];
		const read = (bytesMax: number): number => reader.read(100, (_u8, _view, start, end) => sizes.push(end - start), bytesMax);
		expect([read(0), reader.bytesRead]).toEqual([0, 0]);
		expect([read(21), reader.bytesRead]).toEqual([3, 70]);
		expect([read(1), reader.bytesRead]).toEqual([1, 10]);
		expect([read(1), reader.bytesRead]).toEqual([0, 0]);
		expect(sizes).toEqual([10, 10, 50, 10]);
	});

	it("looks ahead at what is unread, once at each record, and reads all of it in order afterwards", { tags: ["long"] }, () => {
		const ring = newRing({ capacityBytes: 1024 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		const ahead = (): Uint8Array[] => {
			const seen: Uint8Array[] = [];
			reader.ahead((u8, _view, start, end) => seen.push(u8.slice(start, end)) > 0);
			return seen;
		};
		expect(ahead()).toEqual([]);
		let written = 0;
		let looked = 0;
		let read = 0;
		// Several laps, with padding.
		for (let round = 0; round < 200; round++) {
			for (let count = round % 5; count > 0; count--) if (writer.write(payload(written, 20 + (written % 60)))) written++;
			const all = (from: number, to: number) =>
				Array.from({ length: to - from }, (_, index) => payload(from + index, 20 + ((from + index) % 60)));
			if (round % 3 === 0) {
				expect(ahead()).toEqual(all(Math.max(looked, read), written));
				looked = written;
			}
			const got = take(reader, round % 4);
			expect(got).toEqual(all(read, read + got.length));
			read += got.length;
		}
		expect(written).toBeGreaterThan(100);
		expect(take(reader)).toHaveLength(written - read);
		for (let index = 0; index < 4; index++) writer.write(payload(index, 8));
		let visits = 0;
		expect(reader.ahead(() => ++visits < 2)).toBe(false);
		expect([visits, ahead()], "it goes on where the visitor ended it").toEqual([2, [payload(2, 8), payload(3, 8)]]);
		expect(take(reader)).toHaveLength(4);
		writer.write(payload(1, 8));
		reader.read(1, () => expect(() => reader.ahead(() => true)).toThrow(expect.objectContaining({ code: RingErrorCode.misuse })));
	});

	it("does not count padding as a record", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 6; n++) writer.write(payload(n, 32)); // 240 bytes
		expect(take(reader, 6)).toHaveLength(6);
		writer.write(payload(6, 32)); // behind 16 bytes of padding
		expect(take(reader, 1)).toEqual([payload(6, 32)]);
	});

	it("moves its head once per batch: the bytes stay until read returns, whatever the writer does", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		const written: Uint8Array[] = [];
		for (let n = 0; writer.write(payload(n, 17)); n++) written.push(payload(n, 17));
		const seen: [number, number][] = [];
		reader.read(100, (_u8, _view, start, end) => {
			seen.push([start, end]);
			expect(writer.write(payload(99, 17))).toBe(false);
		});
		expect(seen.map(([start, end]) => ring.u8.slice(start, end))).toEqual(written);
		expect(writer.write(payload(99, 17))).toBe(true);
	});

	it("counts the record that visit threw on as read, and goes on behind it", () => {
		const ring = newRing();
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 5; n++) writer.write(payload(n, 12));
		let visits = 0;
		expect(() =>
			reader.read(100, () => {
				if (++visits === 3) throw new Error("bad record");
			}),
		).toThrow("bad record");
		expect(visits).toBe(3);
		expect(reader.backlogBytes()).toBe(2 * 24);
		expect(take(reader)).toEqual([payload(3, 12), payload(4, 12)]);
	});

	it("may leave within visit, and then that record is the last; join, resume and read are refused there", () => {
		const ring = newRing();
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 5; n++) writer.write(payload(n, 12));
		const misuse = expect.objectContaining({ code: RingErrorCode.misuse });
		const visited = reader.read(100, () => {
			expect(() => reader.join()).toThrow(misuse);
			expect(() => reader.resume()).toThrow(misuse);
			expect(() => reader.read(1, () => {})).toThrow(misuse);
			reader.leave();
		});
		expect(visited).toBe(1);
		expect(writer.depthBytes()).toBe(0);
		expect([reader.read(10, () => {}), reader.hasRecords(), reader.backlogBytes()]).toEqual([0, false, 0]);
		reader.leave();
		reader.join();
		writer.write(payload(7, 1));
		expect(take(reader)).toEqual([payload(7, 1)]);
	});

	it("finds everything that was written since its slot was registered, before it existed", () => {
		const ring = newRing();
		registerReader(ring, 3);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 20; n++) writer.write(payload(n, n));
		const reader = new RingReader(ring, 3);
		expect(reader.read(10, () => {})).toBe(0);
		expect(reader.resume()).toBe(true);
		expect(take(reader)).toEqual(Array.from({ length: 20 }, (_, n) => payload(n, n)));
	});

	it("takes over from a reader that died, at the last batch that it finished", () => {
		const ring = newRing();
		const dead = joined(ring, 1);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 6; n++) writer.write(payload(n, 5));
		expect(take(dead, 4)).toHaveLength(4);
		const successor = new RingReader(ring, 1);
		expect(successor.resume()).toBe(true);
		expect(take(successor)).toEqual([payload(4, 5), payload(5, 5)]);
	});

	it.each([-1, 4, 1.5])("has no slot %d in a ring for 4", (slot) => {
		const ring = newRing({ readersMax: 4 });
		const refused = expect.objectContaining({ code: RingErrorCode.badArgument });
		expect(() => new RingReader(ring, slot)).toThrow(refused);
		expect(() => registerReader(ring, slot)).toThrow(refused);
		expect(() => releaseReader(ring, slot)).toThrow(refused);
	});

	// 2^31 units are 16 GiB: a busy ring gets there within hours, so positions must run through it.
	it.each([2 ** 31 - 100, -100])("reads on while positions run through %d + 100", (startPosition) => {
		const ring = newRing({ capacityBytes: 256, startPosition });
		const reader = joined(ring, 0);
		const slow = joined(ring, 1);
		const writer = new RingWriter(ring);
		const written: Uint8Array[] = [];
		const got: Uint8Array[] = [];
		const gotSlowly: Uint8Array[] = [];
		for (let n = 0; n < 400; n++) {
			while (!writer.write(payload(n, n % 30))) gotSlowly.push(...take(slow, 3));
			written.push(payload(n, n % 30));
			expect(writer.depthBytes()).toBeLessThanOrEqual(256);
			expect(writer.depthBytes()).toBe(Math.max(reader.backlogBytes(), slow.backlogBytes()));
			if (n % 2 === 0) got.push(...take(reader));
		}
		expect(Math.sign(ring.words[RingLayout.tailOffset >> 2])).toBe(-Math.sign(startPosition));
		expect([...got, ...take(reader)]).toEqual(written);
		expect([...gotSlowly, ...take(slow)]).toEqual(written);
	});
});

describe("RingReader on damaged memory", () => {
	const damaged = (damage: (words: Int32Array, firstRecord: number) => void) => {
		const ring = newRing({ capacityBytes: 1024 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 3; n++) writer.write(payload(n, 50));
		damage(ring.words, ring.dataOffset >> 2);
		return reader;
	};
	const neverCalled = () => {
		throw new Error("visited");
	};

	it.each([-2, 129, 2 ** 31 - 1, -(2 ** 31)])("refuses a length of %d", (length) => {
		const reader = damaged((words, first) => {
			words[first] = length;
		});
		expect(() => reader.read(10, neverCalled)).toThrow(corrupt);
		expect(() => reader.read(10, neverCalled)).toThrow(corrupt); // and does not run past it the next time
	});

	it("refuses a length that reaches past the tail", () => {
		const reader = damaged((words, first) => {
			words[first + 32] = 120; // the third of three records of 64 bytes
		});
		let visits = 0;
		expect(() => reader.read(10, () => visits++)).toThrow(/past the tail/);
		expect(visits).toBe(2);
	});

	it("refuses a length that reaches past the end of the data", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 10; n++) {
			writer.write(payload(n, 8)); // 16 bytes; 240 … 256 is the last place
			if (n < 9) take(reader);
		}
		for (let n = 10; n < 18; n++) writer.write(payload(n, 8));
		take(reader, 6);
		ring.words[(ring.dataOffset + 240) >> 2] = 24;
		expect(() => reader.read(10, neverCalled)).toThrow(/past the end/);
	});

	it("refuses padding that reaches past the tail", () => {
		const reader = damaged((words, first) => {
			words[first] = RingLayout.paddingLength;
		});
		expect(() => reader.read(10, neverCalled)).toThrow(corrupt);
	});

	it("refuses bytes that were not written at this position: a record of an earlier lap", () => {
		const reader = damaged((words, first) => {
			words[first + 1] -= 128;
		});
		expect(() => reader.read(10, neverCalled)).toThrow(/stamped -128/);
	});

	it("refuses a tail more than a lap ahead, as after its slot was released while it still ran", () => {
		const ring = newRing({ capacityBytes: 256 });
		const reader = joined(ring);
		releaseReader(ring, 0);
		const writer = new RingWriter(ring);
		for (let n = 0; n < 20; n++) writer.write(payload(n, 8));
		expect(() => reader.read(10, neverCalled)).toThrow(/more than a lap/);
		reader.join();
		writer.write(payload(20, 8));
		expect(take(reader)).toEqual([payload(20, 8)]);
	});
});
