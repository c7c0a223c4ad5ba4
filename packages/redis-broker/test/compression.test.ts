import { constants, deflateRawSync } from "node:zlib";
import { encodePublisherInfo } from "@shardcast/wire";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Compressor, unpack, unpackedHead } from "../src/compression.ts";
import { decodePublication, encodePublication } from "../src/stored-publication.ts";

const deflate = (bytesMin = 0) => new Compressor({ method: "deflate", bytesMin });
const text = (length: number) => Buffer.from("the same again, ".repeat(Math.ceil(length / 16)).slice(0, length));
const bytesMax = 100_000;

describe("compression between nodes", () => {
	it("any bytes come back as they were, and what is not compressed is left alone", () => {
		const some = fc.oneof(
			fc.uint8Array({ maxLength: 2000 }),
			fc.string({ maxLength: 200 }).map((each) => Buffer.from(each.repeat(20))),
		);
		fc.assert(
			fc.property(some, (each) => {
				// As batches and publications, it starts with its version.
				const bytes = Buffer.concat([Buffer.of(1), each]);
				const packed = deflate().pack(bytes);
				expect(packed.length).toBeLessThanOrEqual(bytes.length);
				expect(unpack(packed, bytesMax)).toEqual(bytes);
				expect(unpackedHead(packed).subarray(0, 16)).toEqual(bytes.subarray(0, 16));
				expect(new Compressor({ method: "none", bytesMin: 0 }).pack(bytes)).toBe(bytes);
			}),
		);
	});

	it("counts the bytes that it saves, and does not compress what is short or becomes no shorter", () => {
		const compressor = deflate(1024);
		expect(compressor.pack(text(1023)).length).toBe(1023);
		expect(compressor.savedBytes).toBe(0);
		const packed = compressor.pack(text(1024));
		expect(packed.length).toBeLessThan(200);
		expect(compressor.savedBytes).toBe(1024 - packed.length);
		const random = Buffer.from(Array.from({ length: 2000 }, (_, index) => (index * 7919 * (index + 13)) % 251));
		const squeezed = deflateRawSync(random);
		expect(compressor.pack(squeezed)).toBe(squeezed);
		expect(compressor.savedBytes).toBe(1024 - packed.length);
	});

	it("refuses more bytes than it may have, before it allocates them, and at the limit takes them", () => {
		const packed = deflate().pack(text(5000));
		expect(unpack(packed, 5000)?.length).toBe(5000);
		expect(unpack(packed, 4999)).toBeNull();
		// 4 GiB according to its length.
		packed.writeUInt32LE(0xffff_ffff, 4);
		expect(unpack(packed, bytesMax)).toBeNull();
	});

	it("refuses what is damaged: another length, another format, cut off, any byte changed", () => {
		const bytes = text(3000);
		const packed = deflate().pack(bytes);
		const changed = (at: number, to: number) => {
			const copy = Buffer.from(packed);
			copy[at] = to;
			return copy;
		};
		for (const length of [0, 16, 17, 2999, 3001]) {
			const copy = Buffer.from(packed);
			copy.writeUInt32LE(length, 4);
			expect(unpack(copy, bytesMax), `length ${length}`).toBeNull();
		}
		expect(unpack(changed(1, 2), bytesMax)).toBeNull();
		for (let cut = 25; cut < packed.length; cut++) expect(unpack(packed.subarray(0, cut), bytesMax), `cut at ${cut}`).toBeNull();
		for (let at = 24; at < packed.length; at++)
			for (const to of [0, 255, packed[at]! ^ 1]) {
				const result = unpack(changed(at, to), bytesMax);
				if (result !== null) expect(result.length, "never another length").toBe(bytes.length);
			}
		fc.assert(
			fc.property(
				fc.uint8Array({ maxLength: 300 }),
				(rest) => (unpack(Buffer.concat([Buffer.of(0xc0, 1), rest]), 1000)?.length ?? 0) <= 1000,
			),
		);
	});

	it("a short message that would become half a gigabyte is refused without becoming that", () => {
		const head = Buffer.alloc(24);
		head[0] = 0xc0;
		head[1] = 1;
		head.writeUInt32LE(2000, 4);
		const mebibyte = deflateRawSync(Buffer.alloc(1_048_576), { finishFlush: constants.Z_FULL_FLUSH });
		const bomb = Buffer.concat([head, ...Array.from({ length: 512 }, () => mebibyte), deflateRawSync(Buffer.alloc(0))]);
		const beforeKib = process.resourceUsage().maxRSS;
		expect(unpack(bomb, bytesMax)).toBeNull();
		expect(process.resourceUsage().maxRSS - beforeKib, "growth of the process in KiB").toBeLessThan(100_000);
	});

	it("a publication with all its parts comes back", () => {
		const options = {
			kind: 1,
			delta: true,
			sender: { id: 7, life: 9 },
			info: encodePublisherInfo({ user: "ann", client: "c-1" }),
			tags: { room: "a" },
		} as const;
		const plain = encodePublication({ id0: 1, id1: -2 }, text(2000), options);
		const packed = deflate().pack(plain);
		expect(packed.length).toBeLessThan(plain.length / 4);
		expect(decodePublication(packed), "not read as an uncompressed one").toBeNull();
		expect(decodePublication(unpack(packed, bytesMax)!)).toEqual(decodePublication(plain));
		for (const info of [options.info.subarray(0, 4), encodePublisherInfo({ user: "", client: "", connInfo: Buffer.from("{") })])
			expect(decodePublication(encodePublication({ id0: 1, id1: 2 }, text(10), { info })), "a publisher that cannot be shown").toBeNull();
	});
});
