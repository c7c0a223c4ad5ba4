import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { describe, expect, it } from "vitest";
import { Codec } from "../../src/protocol/codecs.ts";
import { BatchAttribute, RecordBatchLayout } from "../../src/protocol/record-batch-descriptor.ts";
import { CorruptBatch, lastBatchOf, RecordReader } from "../../src/protocol/record-reader.ts";

interface TestRecord {
	readonly key: Buffer | null;
	readonly value: Buffer | null;
	readonly headers: readonly (readonly [string, Buffer | null])[];
	/** Beyond 32 bits in a long-lived batch. */
	readonly timestampDelta: number;
}

function varint(value: number): Buffer {
	let zigzag = value >= 0 ? BigInt(value) * 2n : BigInt(-value) * 2n - 1n;
	const bytes: number[] = [];
	do {
		const low = Number(zigzag & 0x7fn);
		zigzag >>= 7n;
		bytes.push(zigzag > 0n ? low | 0x80 : low);
	} while (zigzag > 0n);
	return Buffer.from(bytes);
}

const bytesOrNull = (bytes: Buffer | null): Buffer[] => (bytes === null ? [varint(-1)] : [varint(bytes.length), bytes]);

function encodeRecord(record: TestRecord, offsetDelta: number): Buffer {
	const body = Buffer.concat([
		Buffer.from([0]),
		varint(record.timestampDelta),
		varint(offsetDelta),
		...bytesOrNull(record.key),
		...bytesOrNull(record.value),
		varint(record.headers.length),
		...record.headers.flatMap(([name, value]) => [varint(Buffer.byteLength(name)), Buffer.from(name), ...bytesOrNull(value)]),
	]);
	return Buffer.concat([varint(body.length), body]);
}

interface BatchOptions {
	readonly baseOffset: number;
	/** Offset deltas that are left: the others were compacted away. */
	readonly deltas?: readonly number[];
	readonly lastDelta?: number;
	readonly attributes?: number;
	readonly producerId?: bigint;
	readonly compress?: (bytes: Buffer) => Buffer;
}

function encodeBatch(records: readonly TestRecord[], options: BatchOptions): Buffer {
	const { baseOffset, attributes = 0, compress = (bytes) => bytes, producerId = -1n } = options;
	const deltas = options.deltas ?? records.map((_, index) => index);
	const body = compress(Buffer.concat(records.map((record, index) => encodeRecord(record, deltas[index]!))));
	const head = Buffer.alloc(RecordBatchLayout.headerBytes);
	head.writeBigInt64BE(BigInt(baseOffset), RecordBatchLayout.baseOffset);
	head.writeInt32BE(head.length - RecordBatchLayout.logOverheadBytes + body.length, RecordBatchLayout.lengthOffset);
	head[RecordBatchLayout.magicOffset] = RecordBatchLayout.magic;
	head.writeInt16BE(attributes, RecordBatchLayout.attributesOffset);
	head.writeInt32BE(options.lastDelta ?? deltas.at(-1) ?? 0, RecordBatchLayout.lastOffsetDeltaOffset);
	head.writeBigInt64BE(1000n, RecordBatchLayout.baseTimestampOffset);
	head.writeBigInt64BE(9000n, RecordBatchLayout.maxTimestampOffset);
	head.writeBigInt64BE(producerId, RecordBatchLayout.producerIdOffset);
	head.writeInt32BE(records.length, RecordBatchLayout.recordCountOffset);
	return Buffer.concat([head, body]);
}

function marker(type: number, options: BatchOptions): Buffer {
	const key = Buffer.from([0, 0, 0, type]);
	return encodeBatch([{ key, value: null, headers: [], timestampDelta: 0 }], {
		...options,
		attributes: BatchAttribute.control | BatchAttribute.transactional,
	});
}

const plain = (value: string): TestRecord => ({ key: null, value: Buffer.from(value), headers: [], timestampDelta: 0 });

function readAll(bytes: Buffer, from = 0, aborted: { producerId: bigint; firstOffset: number }[] = []) {
	const reader = new RecordReader();
	reader.reset(bytes, from, aborted);
	const records: { offset: number; value: string | null }[] = [];
	while (reader.next()) {
		const value = reader.valueStart < 0 ? null : reader.bytes.toString("utf8", reader.valueStart, reader.valueEnd);
		records.push({ offset: reader.offset, value });
	}
	return { records, nextOffset: reader.nextOffset };
}

const anyBytes: fc.Arbitrary<Buffer> = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const anyRecord: fc.Arbitrary<TestRecord> = fc.record({
	key: fc.option(anyBytes),
	value: fc.option(anyBytes),
	headers: fc.array(fc.tuple(fc.string({ maxLength: 20 }), fc.option(anyBytes)), { maxLength: 3 }) as fc.Arbitrary<
		[string, Buffer | null][]
	>,
	timestampDelta: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
});

describe("RecordReader", () => {
	it("reads back any records that were written, whole batches only, whatever the cut", () => {
		fc.assert(
			fc.property(fc.array(fc.array(anyRecord, { minLength: 1, maxLength: 5 }), { maxLength: 4 }), fc.nat(), (batches, cut) => {
				let offset = 7;
				const encoded = batches.map((records) => {
					const batch = encodeBatch(records, { baseOffset: offset });
					offset += records.length;
					return batch;
				});
				const all = Buffer.concat(encoded);
				const bytes = all.subarray(0, all.length === 0 ? 0 : cut % (all.length + 1));
				let whole = 0;
				for (let length = 0; whole < encoded.length && length + encoded[whole]!.length <= bytes.length; whole++)
					length += encoded[whole]!.length;
				const expected = batches.slice(0, whole).flat();

				const reader = new RecordReader();
				reader.reset(bytes, 7, []);
				for (const [index, record] of expected.entries()) {
					expect(reader.next()).toBe(true);
					expect(reader.offset).toBe(7 + index);
					expect(reader.timestampMs).toBe(1000 + record.timestampDelta);
					const slice = (start: number, end: number) => (start < 0 ? null : Buffer.from(reader.bytes.subarray(start, end)));
					expect(slice(reader.keyStart, reader.keyEnd)).toEqual(record.key);
					expect(slice(reader.valueStart, reader.valueEnd)).toEqual(record.value);
					const headers: [string, Buffer | null][] = [];
					reader.eachHeader((name, value) => headers.push([name, value === null ? null : Buffer.from(value)]));
					expect(headers).toEqual(record.headers);
				}
				expect(reader.next()).toBe(false);
				expect(reader.nextOffset).toBe(7 + expected.length);
				expect(lastBatchOf(bytes)?.nextOffset ?? 7).toBe(7 + expected.length);
			}),
		);
	});

	it("skips what lies before the offset asked for, and counts gaps of compaction as read", () => {
		const batch = encodeBatch([plain("a"), plain("b"), plain("c")], { baseOffset: 100, deltas: [0, 4, 9], lastDelta: 12 });
		expect(readAll(batch, 101)).toEqual({
			records: [
				{ offset: 104, value: "b" },
				{ offset: 109, value: "c" },
			],
			nextOffset: 113,
		});
		expect(lastBatchOf(batch)?.nextOffset).toBe(113);
	});

	it("reads gzip, lz4 and snappy as well, snappy in Java's framing too", () => {
		const xerial = (bytes: Buffer): Buffer => {
			const half = bytes.length >> 1;
			const blocks = [bytes.subarray(0, half), bytes.subarray(half)].map((part) => Buffer.from(compressSync(part)));
			const framed = blocks.flatMap((block) => {
				const length = Buffer.alloc(4);
				length.writeInt32BE(block.length);
				return [length, block];
			});
			return Buffer.concat([Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]), ...framed]);
		};
		const codecs: [number, (bytes: Buffer) => Buffer][] = [
			[Codec.gzip, gzipSync],
			[Codec.lz4, compressFrameSync],
			[Codec.snappy, (bytes) => Buffer.from(compressSync(bytes))],
			[Codec.snappy, xerial],
		];
		for (const [attributes, compress] of codecs) {
			const batches = [0, 2].map((baseOffset) =>
				encodeBatch([plain("one"), plain("x".repeat(5000))], { baseOffset, attributes, compress }),
			);
			expect(readAll(Buffer.concat(batches)).records.map(({ offset, value }) => [offset, value?.length])).toEqual([
				[0, 3],
				[1, 5000],
				[2, 3],
				[3, 5000],
			]);
		}
	});

	it("leaves out aborted transactions and control records, and nothing else", () => {
		const inTransaction = (producerId: bigint, baseOffset: number, value: string) =>
			encodeBatch([plain(value)], { baseOffset, producerId, attributes: BatchAttribute.transactional });
		const bytes = Buffer.concat([
			inTransaction(1n, 0, "void"),
			inTransaction(2n, 1, "kept"),
			marker(0, { baseOffset: 2, producerId: 1n }),
			inTransaction(1n, 3, "kept, a later transaction of the same producer"),
			marker(1, { baseOffset: 4, producerId: 1n }),
			marker(1, { baseOffset: 5, producerId: 2n }),
		]);
		expect(readAll(bytes, 0, [{ producerId: 1n, firstOffset: 0 }])).toEqual({
			records: [
				{ offset: 1, value: "kept" },
				{ offset: 3, value: "kept, a later transaction of the same producer" },
			],
			nextOffset: 6,
		});
		// From any offset the same: a message of another node begins before the position of the one that takes it.
		const all = readAll(bytes, 0, [{ producerId: 1n, firstOffset: 0 }]).records;
		for (let from = 0; from <= 6; from++)
			expect([from, readAll(bytes, from, [{ producerId: 1n, firstOffset: 0 }])]).toEqual([
				from,
				{ records: all.filter(({ offset }) => offset >= from), nextOffset: 6 },
			]);
	});

	it("steps over a batch that cannot be uncompressed, and says of old formats that they are", () => {
		const bad = encodeBatch([plain("lost")], { baseOffset: 5, attributes: Codec.gzip, compress: () => Buffer.from("no gzip") });
		const reader = new RecordReader();
		reader.reset(Buffer.concat([bad, encodeBatch([plain("found")], { baseOffset: 6 })]), 5, []);
		expect(() => reader.next()).toThrow(CorruptBatch);
		expect(reader.next()).toBe(true);
		expect(reader.offset).toBe(6);

		const old = encodeBatch([plain("old")], { baseOffset: 0 });
		old[RecordBatchLayout.magicOffset] = 1;
		expect(() => readAll(old)).toThrow(/old format 1/);
		expect(lastBatchOf(old)).toBeNull();
	});

	it("says of a batch that would grow without bound what it would become, and steps over it", () => {
		const bomb = encodeBatch([plain("x")], {
			baseOffset: 0,
			attributes: Codec.snappy,
			compress: () => Buffer.from("ffffffff0f0001", "hex"),
		});
		const reader = new RecordReader();
		reader.reset(Buffer.concat([bomb, encodeBatch([plain("found")], { baseOffset: 1 })]), 0, []);
		expect(() => reader.next()).toThrow(
			"cannot uncompress the batch (codec 2): it expands to 4294967295 bytes; at most 134217728 are allowed",
		);
		expect(reader.next()).toBe(true);
		expect(reader.offset).toBe(1);
	});

	it("ends at the end of a record, whatever number of headers it claims, and whatever their lengths", () => {
		const record = { ...plain("v"), headers: [["name", Buffer.from("value")]] as const };
		const bytes = encodeBatch([record], { baseOffset: 0 });
		const at = bytes.indexOf("name") - 2;
		const visits = (change: (bytes: Buffer) => void) => {
			const changed = Buffer.concat([bytes, Buffer.from("other records")]);
			change(changed);
			const reader = new RecordReader();
			reader.reset(changed, 0, []);
			expect(reader.next()).toBe(true);
			const seen: string[] = [];
			reader.eachHeader((name, value) => seen.push(`${name}=${value}`));
			return seen;
		};
		expect(visits(() => {})).toEqual(["name=value"]);
		expect(visits((changed) => changed.writeUInt8(0x7e, at))).toEqual(["name=value"]);
		expect(visits((changed) => changed.writeUInt8(0x7f, at))).toEqual([]);
		expect(visits((changed) => changed.writeUInt8(0x7f, at + 1))).toEqual([]);
		expect(visits((changed) => changed.writeUInt8(0x7e, at + 6))).toEqual([]);
	});

	it("never reads outside of a batch, whatever its bytes are", () => {
		fc.assert(
			fc.property(
				fc.array(anyRecord, { minLength: 1, maxLength: 4 }),
				fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
				(records, damage) => {
					const bytes = encodeBatch(records, { baseOffset: 0 });
					for (const [at, value] of damage) bytes[RecordBatchLayout.recordCountOffset + 4 + (at % (bytes.length - 61))] = value;
					const reader = new RecordReader();
					reader.reset(bytes, 0, []);
					for (let steps = 0; steps < 100; steps++) {
						try {
							if (!reader.next()) break;
							expect(reader.valueEnd).toBeLessThanOrEqual(bytes.length);
							expect(reader.keyEnd).toBeLessThanOrEqual(bytes.length);
						} catch (error) {
							expect(error).toBeInstanceOf(CorruptBatch);
						}
					}
				},
			),
		);
	});
});
