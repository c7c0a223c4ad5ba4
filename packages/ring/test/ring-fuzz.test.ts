import assert from "node:assert/strict";
import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { registerReader, releaseReader } from "../src/reader-slots.ts";
import type { Ring } from "../src/ring.ts";
import { RingError, RingErrorCode } from "../src/ring-error.ts";
import { RingReader } from "../src/ring-reader.ts";
import { RingWriter } from "../src/ring-writer.ts";
import { checkPayload, newRing, payload, recordUnitsBytes, seed, take } from "./fixtures.ts";

const capacityBytes = 512;
const recordBytesMax = capacityBytes / 8;
const readersMax = 3;
const slotOf = fc.nat(readersMax - 1);

type Step =
	| { readonly do: "write" | "abandon"; readonly bytes: number }
	| { readonly do: "read"; readonly slot: number; readonly max: number; readonly writeWithin: boolean; readonly throwAt: number }
	| { readonly do: "join" | "leave" | "resume" | "register" | "release"; readonly slot: number }
	| { readonly do: "new writer" };

const step: fc.Arbitrary<Step> = fc.oneof(
	{ weight: 12, arbitrary: fc.record({ do: fc.constant("write" as const), bytes: fc.nat(recordBytesMax) }) },
	{ weight: 1, arbitrary: fc.record({ do: fc.constant("abandon" as const), bytes: fc.nat(recordBytesMax) }) },
	{
		weight: 6,
		arbitrary: fc.record({
			do: fc.constant("read" as const),
			slot: slotOf,
			max: fc.nat(20),
			writeWithin: fc.boolean(),
			throwAt: fc.nat(40),
		}),
	},
	{ weight: 3, arbitrary: fc.record({ do: fc.constantFrom("join", "leave", "resume", "register", "release"), slot: slotOf }) },
	{ weight: 1, arbitrary: fc.constant({ do: "new writer" as const }) },
);

/**
 * What a ring is, said the slow way: all records ever written with the place that each takes in an endless stream of bytes,
 * and for each live slot how far it has read. No wrapping, no words, no cache.
 */
class Model {
	readonly records: { readonly n: number; readonly bytes: number; readonly endBytes: number }[] = [];
	/** Live slots: the record to read next, and up to where the stream has been read. No entry = free. */
	readonly slots = new Map<number, { next: number; headBytes: number }>();
	readonly #startBytes: number;
	#endBytes = 0;

	constructor(startPosition: number) {
		// Added: a multiple of a lap that makes it positive.
		this.#startBytes = ((startPosition + 2 ** 32) * 8) % capacityBytes;
	}

	depthBytes(): number {
		return Math.max(0, ...[...this.slots.values()].map(({ headBytes }) => this.#endBytes - headBytes));
	}

	write(n: number, bytes: number): boolean {
		const index = (this.#startBytes + this.#endBytes) % capacityBytes;
		const paddingBytes = index + recordUnitsBytes(bytes) > capacityBytes ? capacityBytes - index : 0;
		const neededBytes = paddingBytes + recordUnitsBytes(bytes);
		if (this.depthBytes() + neededBytes > capacityBytes) return false;
		this.#endBytes += neededBytes;
		this.records.push({ n, bytes, endBytes: this.#endBytes });
		return true;
	}

	open(slot: number): void {
		this.slots.set(slot, { next: this.records.length, headBytes: this.#endBytes });
	}

	read(slot: number, count: number): void {
		const reader = this.slots.get(slot)!;
		reader.next += count;
		if (count > 0) reader.headBytes = this.records[reader.next - 1].endBytes;
	}
}

/** Runs the steps on both and compares after each. */
function follow(ring: Ring, startPosition: number, steps: readonly Step[]): void {
	const model = new Model(startPosition);
	let writer = new RingWriter(ring);
	const readers = Array.from({ length: readersMax }, (_, slot) => new RingReader(ring, slot));
	/** Whether the reader object, and not only the slot, is live. */
	const reading = new Set<number>();
	let n = 0;
	let refused = 0;

	const write = (bytes: number): void => {
		const written = model.write(n, bytes);
		assert.equal(writer.write(payload(n, bytes)), written);
		if (written) n++;
		else refused++;
	};
	const read = (slot: number, max: number, writeWithin: boolean, throwAt: number): void => {
		const next = model.slots.get(slot)?.next ?? 0;
		const expected = reading.has(slot) ? model.records.slice(next, next + max) : [];
		const planned = new Error("planned");
		let visits = 0;
		const visit = (u8: Uint8Array, _view: DataView, start: number, end: number): void => {
			const record = expected[visits++];
			// Written over by nobody, not even by a record that is written just now.
			if (writeWithin) write(record.bytes);
			checkPayload(u8.subarray(start, end), record.n, record.bytes);
			if (visits - 1 === throwAt) throw planned;
		};
		try {
			assert.equal(readers[slot].read(max, visit), expected.length);
			assert.equal(visits, expected.length);
		} catch (error) {
			if (error !== planned) throw error;
		}
		if (reading.has(slot)) model.read(slot, visits);
	};

	for (const step of steps) {
		switch (step.do) {
			case "write":
				write(step.bytes);
				break;
			case "abandon": {
				const at = writer.claim(step.bytes);
				if (at < 0) refused++;
				else ring.u8.fill(0xff, at, at + step.bytes);
				break;
			}
			case "read":
				read(step.slot, step.max, step.writeWithin, step.throwAt);
				break;
			case "join":
				readers[step.slot].join();
				reading.add(step.slot);
				model.open(step.slot);
				break;
			case "leave":
				readers[step.slot].leave();
				if (reading.delete(step.slot)) model.slots.delete(step.slot);
				break;
			case "resume":
				assert.equal(readers[step.slot].resume(), model.slots.has(step.slot));
				if (model.slots.has(step.slot)) reading.add(step.slot);
				break;
			case "register":
				// As the supervisor does: for a process that is starting, so an earlier one is gone.
				readers[step.slot] = new RingReader(ring, step.slot);
				reading.delete(step.slot);
				registerReader(ring, step.slot);
				model.open(step.slot);
				break;
			case "release":
				readers[step.slot] = new RingReader(ring, step.slot);
				reading.delete(step.slot);
				releaseReader(ring, step.slot);
				model.slots.delete(step.slot);
				break;
			case "new writer":
				writer = new RingWriter(ring);
				break;
		}
		assert.equal(writer.depthBytes(), model.depthBytes());
		assert.equal(writer.backpressuredCount, refused);
		for (const slot of reading) assert.equal(readers[slot].hasRecords(), model.slots.get(slot)!.next < model.records.length);
	}
	for (const slot of reading) read(slot, Number.POSITIVE_INFINITY, false, Number.POSITIVE_INFINITY);
}

describe("ring fuzz", () => {
	const startPosition = fc.oneof(fc.constantFrom(0, 2 ** 31 - 70, 2 ** 31 - 1, -(2 ** 31), -70), fc.integer());
	const memory = fc.constantFrom("SharedArrayBuffer" as const, "ArrayBuffer" as const);

	it(`does what the model does, step by step (seed ${seed})`, { tags: ["long"] }, () => {
		fc.assert(
			fc.property(startPosition, memory, fc.array(step, { maxLength: 300, size: "max" }), (start, kind, steps) => {
				follow(newRing({ capacityBytes, readersMax, startPosition: start, memory: kind }), start, steps);
			}),
			{ seed, numRuns: stressed(300) },
		);
	});

	it(`reads nothing outside the data from damaged memory, and says RING_CORRUPT or goes on (seed ${seed})`, { tags: ["long"] }, () => {
		const damage = fc.record({
			word: fc.nat(),
			value: fc.oneof(fc.integer(), fc.integer({ min: -10, max: 200 }), fc.constantFrom(-1, 2 ** 31 - 1, -(2 ** 31))),
		});
		let corrupt = 0;
		let clean = 0;
		fc.assert(
			fc.property(
				startPosition,
				fc.array(fc.nat(recordBytesMax), { minLength: 1, maxLength: 60, size: "max" }),
				fc.array(damage, { minLength: 1, maxLength: 20 }),
				(start, sizes, damages) => {
					const ring = newRing({ capacityBytes, readersMax, startPosition: start });
					const reader = new RingReader(ring, 0);
					reader.join();
					const writer = new RingWriter(ring);
					for (const bytes of sizes) if (!writer.write(payload(bytes, bytes))) take(reader, 3);
					for (const { word, value } of damages) ring.words[word % ring.words.length] = value;
					let visits = 0;
					const visit = (_u8: Uint8Array, _view: DataView, from: number, to: number): void => {
						visits++;
						const inside = from >= ring.dataOffset + 8 && from <= to && to <= ring.dataOffset + capacityBytes;
						assert(inside && to - from <= recordBytesMax, `visited ${from} … ${to}`);
					};
					try {
						reader.read(Number.POSITIVE_INFINITY, visit);
						clean++;
					} catch (error) {
						if (!(error instanceof RingError) || error.code !== RingErrorCode.corrupt) throw error;
						corrupt++;
					}
					assert(visits <= capacityBytes / 8);
				},
			),
			{ seed, numRuns: stressed(2000) },
		);
		expect(corrupt).toBeGreaterThan(100);
		expect(clean).toBeGreaterThan(0);
	});
});
