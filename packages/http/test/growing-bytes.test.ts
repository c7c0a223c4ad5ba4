import { describe, expect, it } from "vitest";
import { GrowingBytes } from "../src/growing-bytes.ts";

describe("growing bytes", () => {
	it("does not copy a single piece", () => {
		const bytes = new GrowingBytes();
		const piece = Buffer.from("GET /");
		bytes.append(piece);
		expect(bytes.buffer).toBe(piece);
		expect(bytes.all().toString()).toBe("GET /");
	});

	it("puts pieces behind each other, and copies few times over when they are many", () => {
		const bytes = new GrowingBytes();
		const buffers = new Set<Buffer>();
		for (let i = 0; i < 1000; i++) {
			bytes.append(Buffer.from([i & 255]));
			buffers.add(bytes.buffer);
		}
		expect(bytes.length).toBe(1000);
		expect(bytes.all()).toEqual(Buffer.from(Array.from({ length: 1000 }, (_, index) => index & 255)));
		expect(buffers.size).toBeLessThan(12);
	});

	it("leaves the pieces alone", () => {
		const first = Buffer.from("a");
		const bytes = new GrowingBytes();
		bytes.append(first);
		bytes.append(Buffer.from("bc"));
		expect(first.toString()).toBe("a");
		expect(bytes.all().toString()).toBe("abc");
	});
});
