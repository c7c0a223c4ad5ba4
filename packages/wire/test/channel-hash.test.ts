import { afterEach, describe, expect, it } from "vitest";
import { type ChannelHashKey, channelHash, channelHashKey, randomChannelHashKey, useChannelHashKey } from "../src/record/channel-hash.ts";

const encoder = new TextEncoder();
const ownKey = channelHashKey();
afterEach(() => useChannelHashKey(ownKey));

const hashes = (names: readonly string[]) => names.map((name) => channelHash(encoder.encode(name)));

/** FNV-1a from any start value: how channels were hashed once. */
const fnv1a = (start: number, name: Uint8Array) => name.reduce((value, byte) => Math.imul(value ^ byte, 0x01000193), start) >>> 0;

/** 2^blocks names with one FNV-1a hash. The two blocks collide and lead to the lower 8 bits that they began with, so they can be repeated. */
function collidingNames(blocks: number): string[] {
	let names = [""];
	for (let block = 0; block < blocks; block++) names = names.flatMap((name) => [`${name}pyjuuiqc`, `${name}kgxjvrfr`]);
	return names;
}

/** How many of the values the most frequent one is. */
function mostEqual(values: readonly number[]): number {
	const counts = new Map<number, number>();
	for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
	return Math.max(...counts.values());
}

describe("the hash of a channel name", () => {
	it("names that collide in an unkeyed hash are spread, under every key", { tags: ["long"] }, () => {
		const names = collidingNames(9);
		expect(new Set(names.map((name) => fnv1a(0x811c9dc5, encoder.encode(name)))).size).toBe(1);
		// The start value of FNV-1a is no key: another one that has the same lower 8 bits changes nothing.
		expect(new Set(names.map((name) => fnv1a(0x123456c5, encoder.encode(name)))).size).toBe(1);
		for (let low = 0; low < 256; low++) {
			const [upper0, upper1] = randomChannelHashKey();
			useChannelHashKey([(upper0 << 8) | low, (upper1 << 8) | low]);
			expect(mostEqual(hashes(names))).toBeLessThanOrEqual(2);
		}
	});

	it("depends on the key, whose default is another in each process", () => {
		const names = Array.from({ length: 100 }, (_, index) => `room ${index}`);
		const before = hashes(names);
		expect(hashes(names)).toEqual(before);
		useChannelHashKey([ownKey[0], ownKey[1] ^ 1]);
		const after = hashes(names);
		expect(after.filter((hash, index) => hash === before[index]).length).toBeLessThan(3);
		useChannelHashKey(ownKey);
		expect(hashes(names)).toEqual(before);
		expect(ownKey).not.toEqual([0, 0]);
		expect(randomChannelHashKey()).not.toEqual(randomChannelHashKey());
	});

	it("is HalfSipHash-1-3: the vectors of the Linux kernel (lib/tests/siphash_kunit.c)", () => {
		const key: ChannelHashKey = [0x03020100, 0x07060504];
		useChannelHashKey(key);
		const input = Uint8Array.from({ length: 16 }, (_, index) => index);
		expect(Array.from(input, (_, length) => channelHash(input, 0, length))).toEqual([
			0x5814c896, 0xe7e864ca, 0xbc4b0e30, 0x01539939, 0x7e059ea6, 0x88e3d89b, 0xa0080b65, 0x9d38d9d6, 0x577999b1, 0xc839caed, 0xe4fa32cf,
			0x959246ee, 0x6b28096c, 0x66dd9cd6, 0x16658a7c, 0xd0257b04,
		]);
		// A name that lies within other bytes is hashed like the name alone.
		expect(channelHash(input, 3, 12)).toBe(channelHash(input.slice(3, 12)));
	});
});
