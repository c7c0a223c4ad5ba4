import { isUtf8 } from "node:buffer";
import { clientsFossilDecoder } from "@shardcast/testkit";
import { arbitraryText } from "@shardcast/testkit/arbitraries";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fossilDelta } from "../src/fossil-delta.ts";

const apply = clientsFossilDecoder();
const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Returns the delta's length; the client makes the target of it. */
function check(source: Uint8Array, target: Uint8Array): number {
	const delta = fossilDelta(source, target);
	if (delta === null) return target.length;
	expect(delta.length).toBeLessThan(target.length);
	expect(Buffer.compare(apply(source, delta), target)).toBe(0);
	if (isUtf8(target)) expect(isUtf8(delta)).toBe(true);
	return delta.length;
}

const order = (price: string, volume: number) =>
	bytes(
		JSON.stringify({ ticker: "BTC-USD", venue: "somewhere in Zürich", price, volume, levels: [1, 2, 3, 4, 5, 6, 7, 8, 9], note: "ééé" }),
	);

describe("a fossil delta", () => {
	it("is short when little has changed", () => {
		expect(check(order("67012.25", 1), order("67012.26", 1))).toBeLessThan(40);
		expect(check(order("67012.25", 1), order("67112.26", 22))).toBeLessThan(60);
	});

	it("finds text that has moved", () => {
		const [a, b] = ["the first half of it, which is quite long. ", "and the second half of it, also not short. "];
		expect(check(bytes(a + b), bytes(b + a))).toBeLessThan(40);
		expect(check(bytes(a), bytes(b + a + b))).toBeLessThan(b.length * 2 + 30);
	});

	it("is not created when it would not be shorter", () => {
		expect(fossilDelta(bytes("abc"), bytes("xyz"))).toBeNull();
		expect(fossilDelta(bytes(""), bytes(""))).toBeNull();
		expect(fossilDelta(bytes("x".repeat(100)), bytes(""))).toBeNull();
		expect(fossilDelta(bytes("short"), bytes("short"))).toBeNull();
	});

	it("inserts whole characters", () => {
		const around = "x".repeat(30);
		for (const [old, now] of [
			["é", "è"],
			["😀", "😁"],
			["é", "éé"],
			["a", "😀"],
		] as const)
			expect(check(bytes(around + old + around), bytes(around + now + around))).toBeLessThan(40);
	});

	it("is applied correctly by the client, for any bytes with something in common", { tags: ["long"] }, () => {
		const piece = fc.oneof(
			fc.uint8Array({ maxLength: 40 }),
			arbitraryText({ maxLength: 20 }).map(bytes),
			fc.constantFrom(bytes("a".repeat(50)), bytes("0123456789abcdef"), bytes("é".repeat(20)), new Uint8Array(30).fill(0x80)),
		);
		const pieces = fc.array(piece, { minLength: 1, maxLength: 8 });
		fc.assert(
			fc.property(pieces, fc.array(fc.oneof(fc.nat(20), piece), { maxLength: 12 }), (old, now) => {
				const source = Buffer.concat(old);
				const target = Buffer.concat(now.map((one) => (typeof one === "number" ? old[one % old.length]! : one)));
				check(source, target);
			}),
			{ numRuns: 2000 },
		);
	});

	it("supports long values", () => {
		const source = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7919) % 251));
		const target = Buffer.concat([source.subarray(30_000), bytes("in between"), source.subarray(0, 25_000)]);
		expect(check(source, target)).toBeLessThan(1000);
		expect(check(Buffer.alloc(40_000, 0x80), Buffer.concat([bytes("x"), Buffer.alloc(40_000, 0x80)]))).toBeLessThanOrEqual(40_001);
	});
});
