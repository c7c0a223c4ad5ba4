import { describe, expect, it } from "vitest";
import { hasBeenRead, registerReader, releaseReader } from "../src/reader-slots.ts";
import type { Ring } from "../src/ring.ts";
import { RingLayout } from "../src/ring-descriptor.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { joined, newRing, payload, take } from "./fixtures.ts";
import { interleaved } from "./interleave.ts";

/**
 * One legal outcome: whatever the writer does between two steps of a join, the reader gets an unbroken run of records that
 * ends with the last one written, and the writer never overtakes it.
 */
describe("a reader that joins while the writer writes", () => {
	// 16 bytes a record, 16 to a lap.
	const lap = 16;
	const capacityBytes = lap * 16;
	const record = (n: number) => Uint8Array.from([n, n >> 8, 0, 0, 0, 0, 0, 0]);
	const numberOf = (bytes: Uint8Array) => bytes[0] | (bytes[1] << 8);

	/** Writes up to `count` records and returns how many found room. */
	const write = (writer: RingWriter, from: number, count: number): number => {
		let written = 0;
		while (written < count && writer.write(record(from + written))) written++;
		return written;
	};

	const expectUnbrokenEnd = (reader: RingReader, writer: RingWriter, next: number): void => {
		const more = write(writer, next, 10 * lap);
		const numbers = take(reader).map(numberOf);
		const room = write(writer, next + more, 10 * lap);
		const isRun = numbers.length >= more && numbers.every((number, at) => number === next + more - numbers.length + at);
		// Thousands of times: an expectation for each would take longer than what is tested.
		if (more > lap || !isRun || room !== lap) expect.fail(`${more} written from ${next} on, read as ${numbers}; then room for ${room}`);
	};

	const joins: Record<string, (ring: Ring) => RingReader> = {
		join: (ring) => joined(ring, 2),
		"register and resume": (ring) => {
			registerReader(ring, 2);
			const reader = new RingReader(ring, 2);
			expect(reader.resume()).toBe(true);
			return reader;
		},
	};
	const befores: Record<string, (ring: Ring) => void> = {
		"first in its slot": () => {},
		"after another was released": (ring) => {
			joined(ring, 2);
			releaseReader(ring, 2);
		},
		// Positions have gone once round, so the head that was left there looks as if it were just ahead.
		"in a slot that lay free for 32 GiB": (ring) => {
			const headWord = (RingLayout.readersOffset + 2 * RingLayout.lineBytes + RingLayout.headOffset) >> 2;
			ring.words[headWord] = ring.words[RingLayout.tailOffset >> 2] + capacityBytes / RingLayout.unitBytes;
		},
	};
	const others: Record<string, (ring: Ring) => RingReader | undefined> = {
		alone: () => undefined,
		"next to another reader": (ring) => joined(ring, 0),
	};

	for (const [joinName, join] of Object.entries(joins))
		for (const [beforeName, before] of Object.entries(befores))
			for (const [otherName, other] of Object.entries(others))
				it(`misses nothing from then on: ${joinName}, ${beforeName}, ${otherName}`, () => {
					let tried = 0;
					for (const writtenBefore of [0, 1, lap - 1, lap, lap + 5])
						for (const writtenWithin of [0, 1, lap - 1, lap, lap + 1, 3 * lap])
							for (let step = 0; ; step++) {
								const ring = newRing({ capacityBytes, startPosition: 2 ** 31 - 2 * lap });
								before(ring);
								const beside = other(ring);
								const writer = new RingWriter(ring);
								let next = write(writer, 0, writtenBefore);
								if (beside) take(beside);
								const { result: reader, reached } = interleaved(
									() => join(ring),
									step,
									() => {
										for (let n = 0; n < writtenWithin; n++) {
											next += write(writer, next, 1);
											if (beside) take(beside);
										}
									},
								);
								if (!reached) break;
								beside?.leave();
								expectUnbrokenEnd(reader, writer, next);
								tried++;
							}
					expect(tried).toBeGreaterThan(100);
				});

	it("misses nothing when it joins between two steps of the writer", () => {
		let tried = 0;
		for (const writtenBefore of [0, 1, lap - 1, lap, lap + 1, 2 * lap + 3])
			for (let step = 0; ; step++) {
				const ring = newRing({ capacityBytes, startPosition: -lap });
				const writer = new RingWriter(ring);
				const next = write(writer, 0, writtenBefore);
				const reader = new RingReader(ring, 3);
				const { result: written, reached } = interleaved(
					() => write(writer, next, 1),
					step,
					() => reader.join(),
				);
				if (!reached) break;
				expect(written).toBe(1);
				expectUnbrokenEnd(reader, writer, next + written);
				tried++;
			}
		expect(tried).toBeGreaterThanOrEqual(10);
	});

	it("loses what it had not read when its live slot is registered again", () => {
		const ring = newRing();
		const reader = joined(ring, 1);
		const writer = new RingWriter(ring);
		writer.write(payload(1, 8));
		registerReader(ring, 1);
		writer.write(payload(2, 8));
		expect(reader.resume()).toBe(true);
		expect(take(reader)).toEqual([payload(2, 8)]);
	});
});

describe("what has been read", () => {
	it("is known once every live reader has passed it, also where positions wrap", () => {
		const ring = newRing({ startPosition: 2 ** 31 - 2 });
		const [quick, slow, dead] = [joined(ring, 0), joined(ring, 1), joined(ring, 2)];
		const writer = new RingWriter(ring);
		const tail = () => Atomics.load(ring.words, RingLayout.tailOffset >> 2);
		for (let n = 0; n < 3; n++) writer.write(payload(n, 8));
		const position = tail();
		expect(hasBeenRead(ring, position)).toBe(false);
		for (const reader of [quick, dead]) take(reader);
		writer.write(payload(3, 8));
		take(slow, 2);
		expect(hasBeenRead(ring, position)).toBe(false);
		// Within the visit of a record it does not count as read yet.
		slow.read(1, () => expect(hasBeenRead(ring, position)).toBe(false));
		expect([hasBeenRead(ring, position), hasBeenRead(ring, tail())]).toEqual([true, false]);
		for (const reader of [quick, slow]) take(reader);
		expect(hasBeenRead(ring, tail())).toBe(false);
		releaseReader(ring, 2);
		expect(hasBeenRead(ring, tail())).toBe(true);
	});
});
