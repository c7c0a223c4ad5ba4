import { gzipSync } from "node:zlib";
import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { compressFrameSync } from "lz4-napi";
import { compressSync } from "snappy";
import { describe, expect, it } from "vitest";
import { Codec, uncompress, uncompressedBytesMax } from "../../src/protocol/codecs.ts";
import { type Frame, gzipBytes, lz4Frames, snappyBytes, zstdFrames } from "../../src/protocol/declared-size.ts";

const u32le = (value: number) => {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32LE(value);
	return bytes;
};
const repeated = (bytes: Buffer, times: number) => Buffer.concat(Array.from({ length: times }, () => bytes));
const xerialHead = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
const xerial = (...blocks: Buffer[]) => Buffer.concat([xerialHead, ...blocks.flatMap((block) => [u32le(block.length).reverse(), block])]);

const sizeOf = (frames: readonly Frame[]) => frames.reduce((sum, { bytes }) => sum + bytes, 0);

const text = Array.from({ length: 20_000 }, (_, line) => `line ${line % 97} of many\n`).join("");
/** What `zstd -19` makes of it, which says how long it is, and `zstd -3 --check` of a stream, which says only its window. */
const zstdTexts = [
	"KLUv/aDq2QQAHAQAAocSEsAbDg9sw5ZV5kgppUwp/eKcG8Dd3d2ZmZmZmVVVVVVVERERERHNzMzMzPz///+2bdt227ZtS5IkSZ4VzV0CSzIgQaEEQkAkxhFiqBDw+2fAo8o1EkgQUBAYhr///38H9/kJtoykJEX50YooJEH8iIcd4XAjNS5Yiw8xExZASwFUAAAAAQD9/wEA8ggERQAAAAEA51kdAAE=",
	"KLUv/QRYfAQAskcUE8BnOA/0LkEU/r9KKVNKKfnfa7JFc5erqqoqIiIiIqKZmZmZmf///9+2bdtu27ZtSZIkyW3btk1EREREiuYuJ0RxGATA4RAUiIGBCBDFYRACa6gx+P3PwKPKNRL4s/DX//9/A1z5CRatpo9D2rTk4gU1VFRY+NEWMSQg/ggPO8Kht5FJMzHclaLF1KpMAAAIbgEA/P85EAJNAAAIIAEA5lkdCAGloGyE",
].map((base64) => Buffer.from(base64, "base64"));

/** 4 MiB of zeros as a block of lz4, without the head and the end of its frame. */
const lz4Frame = compressFrameSync(Buffer.alloc(4 << 20));
const lz4Block = lz4Frame.subarray(7, 7 + 4 + (lz4Frame.readUInt32LE(7) & 0x7fff_ffff));
/** 2 MiB of zeros as a block of zstd: 3 bytes, and the byte that is repeated. */
const zstdBlock = Buffer.from([0b010, 0, 0, 0]);
zstdBlock.writeUIntLE(((2 ** 21 - 1) << 3) | 0b010, 0, 3);
const zstdEnd = Buffer.from([1, 0, 0]);

describe("uncompress", () => {
	const bombs: readonly [string, number, Buffer][] = [
		["gzip", Codec.gzip, Buffer.concat([gzipSync("x").subarray(0, -4), u32le(uncompressedBytesMax + 1)])],
		["snappy", Codec.snappy, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1])],
		[
			"snappy in Java's framing",
			Codec.snappy,
			xerial(...Array.from({ length: 40 }, () => Buffer.from(compressSync(Buffer.alloc(4 << 20))))),
		],
		["lz4", Codec.lz4, Buffer.concat([lz4Frame.subarray(0, 7), repeated(lz4Block, 40), u32le(0)])],
		["lz4, of several frames", Codec.lz4, repeated(lz4Frame, 40)],
		["zstd", Codec.zstd, Buffer.concat([u32le(0xfd2fb528), Buffer.from([0, 0x50]), repeated(zstdBlock, 80), zstdEnd])],
		["zstd with a large window", Codec.zstd, Buffer.concat([u32le(0xfd2fb528), Buffer.from([0, 0xa0]), zstdEnd])],
		["zstd with a declared size", Codec.zstd, Buffer.concat([u32le(0xfd2fb528), Buffer.from([0xe0]), u32le(0), u32le(1), zstdEnd])],
	];
	for (const [name, codec, bytes] of bombs)
		it(`refuses what would become too large, before it takes memory for it: ${name}`, () => {
			const before = process.memoryUsage().external;
			expect(() => uncompress(codec, bytes)).toThrow(/expands to \d+ bytes/);
			expect(process.memoryUsage().external - before).toBeLessThan(1 << 20);
		});

	it("cuts off a gzip stream that lies about its length", { tags: ["long"] }, () => {
		const zeros = gzipSync(Buffer.alloc(1 << 20));
		const liar = Buffer.concat([repeated(zeros, uncompressedBytesMax / (1 << 20) + 1)]);
		expect(gzipBytes(liar)).toBe(1 << 20);
		expect(() => uncompress(Codec.gzip, liar)).toThrow(/larger than/);
	});

	it("reads what it reads, and never takes it for larger than its blocks can be", () => {
		for (const zstd of zstdTexts) {
			expect(uncompress(Codec.zstd, zstd).toString()).toBe(text);
			expect(sizeOf(zstdFrames(zstd))).toBeLessThan(4 << 20);
			expect(uncompress(Codec.zstd, repeated(zstd, 3)).length).toBe(3 * text.length);
		}
		const skippable = Buffer.concat([u32le(0x184d2a53), u32le(5), Buffer.alloc(5)]);
		expect(uncompress(Codec.zstd, Buffer.concat([skippable, ...zstdTexts])).length).toBe(2 * text.length);
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 3000 }), fc.integer({ min: 1, max: 100 }), (part, times) => {
				const plain = repeated(Buffer.from(part), times);
				const snappy = Buffer.from(compressSync(plain));
				const lz4 = compressFrameSync(plain);
				expect(uncompress(Codec.gzip, gzipSync(plain)).equals(plain)).toBe(true);
				expect(uncompress(Codec.snappy, snappy).equals(plain)).toBe(true);
				expect(uncompress(Codec.snappy, xerial(snappy, snappy)).length).toBe(2 * plain.length);
				expect(uncompress(Codec.lz4, lz4).equals(plain)).toBe(true);
				expect(uncompress(Codec.lz4, Buffer.concat([skippable, lz4, lz4])).length).toBe(2 * plain.length);
				expect([gzipBytes(gzipSync(plain)), snappyBytes(snappy)]).toEqual([plain.length, plain.length]);
				expect(sizeOf(lz4Frames(lz4))).toBeGreaterThanOrEqual(plain.length);
				expect(sizeOf(lz4Frames(lz4))).toBeLessThanOrEqual(plain.length + (4 << 20));
			}),
			{ numRuns: stressed(50) },
		);
	});

	it("ends, with an error or with something, on bytes of any kind", { tags: ["long"] }, () => {
		const heads = [
			Buffer.alloc(0),
			xerialHead,
			u32le(0x184d2204),
			u32le(0xfd2fb528),
			u32le(0x184d2a50),
			...zstdTexts,
			lz4Frame.subarray(0, 40),
		];
		const some = fc.tuple(
			fc.constantFrom(...heads),
			fc.uint8Array({ maxLength: 60 }),
			fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
		);
		fc.assert(
			fc.property(fc.constantFrom(1, 2, 3, 4, 5), some, (codec, [head, rest, damage]) => {
				const bytes = Buffer.concat([head, rest]);
				for (const [at, value] of damage) if (bytes.length > 0) bytes[at % bytes.length] = value;
				try {
					const { length } = uncompress(codec, bytes);
					if (length > uncompressedBytesMax) expect.fail(`${length} bytes`);
				} catch (error) {
					if (!(error instanceof Error) || error.name === "AssertionError") throw error;
				}
			}),
			{ numRuns: stressed(2000) },
		);
	});
});
