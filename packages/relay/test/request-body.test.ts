import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RequestBody } from "../src/pass/request-body.ts";
import { anyBytes, decodeChunks, splitAt } from "./support/chunks.ts";

const chunked = { contentLength: -1, isChunked: true };

/** What comes out for these pieces: the bytes passed on, how many belonged to the body, and whether it is over; null when malformed. */
function pass(pieces: readonly string[], length = chunked): { passed: string; taken: number; isDone: boolean } | null {
	const body = new RequestBody(length);
	const passed: Buffer[] = [];
	let taken = 0;
	for (const piece of pieces) {
		const bytes = Buffer.from(piece, "latin1");
		const next = body.take(bytes, 0, (part) => passed.push(part));
		if (next < 0) return null;
		taken += next;
		if (next < bytes.length) break;
	}
	return { passed: Buffer.concat(passed).toString("latin1"), taken, isDone: body.isDone };
}

describe("a request's body on its way through the proxy", () => {
	it("of known length passes unchanged, without a byte of what follows", () => {
		expect(pass(["abcGET"], { contentLength: 3, isChunked: false })).toEqual({ passed: "abc", taken: 3, isDone: true });
		expect(pass(["a", "b"], { contentLength: 3, isChunked: false })).toEqual({ passed: "ab", taken: 2, isDone: false });
		for (const contentLength of [0, -1])
			expect(pass(["GET"], { contentLength, isChunked: false })).toEqual({ passed: "", taken: 0, isDone: true });
	});

	it("in chunks loses its extensions and trailers, which a shard would read as another request", () => {
		const text = '3;a=b;c="d"\r\nabc\r\nA\r\n0123456789\r\n0;x\r\nGET: /x\r\nX-Real-IP: 6.6.6.6\r\n\r\n';
		expect(pass([`${text}GET / HTTP/1.1`])).toEqual({
			passed: "d\r\nabc0123456789\r\n0\r\n\r\n",
			taken: text.length,
			isDone: true,
		});
	});

	it.each([
		["no size", "\r\n"],
		["a size that is none", "g\r\n"],
		["a space in the size line", "3 \r\nabc\r\n0\r\n\r\n"],
		["a bare line feed", "3\nabc\r\n0\r\n\r\n"],
		["a chunk longer than its size", "3\r\nabcd\r\n0\r\n\r\n"],
		["a chunk shorter than its size", "3\r\nab\r\n0\r\n\r\n"],
		["a size beyond all bounds", "123456789\r\n"],
		["a control character in an extension", "3;\x01\r\nabc\r\n0\r\n\r\n"],
		["a trailer without a name", "0\r\n: b\r\n\r\n"],
		["a trailer without a colon", "0\r\na\r\n\r\n"],
		["a request where trailers are", "0\r\nGET / HTTP/1.1\r\n\r\n"],
		["a bare line feed in a trailer", "0\r\na: b\n\r\n"],
		["endless extensions", `3;${"x".repeat(9000)}\r\nabc\r\n0\r\n\r\n`],
		["endless trailers", `0\r\n${"a: b\r\n".repeat(3000)}\r\n`],
	])("in chunks is refused with %s", (_, text) => {
		expect(pass([text])).toBe(null);
		expect(pass([...text])).toBe(null);
	});

	it("arrives complete, however it is split", () => {
		const part = fc.tuple(anyBytes({ minLength: 1, maxLength: 40 }), fc.constantFrom("", ";x=1"), fc.boolean());
		const trailers = fc.array(fc.constantFrom("A: b\r\n", "Content-Length: 5\r\n"), { maxLength: 2 });
		fc.assert(
			fc.property(fc.array(part, { maxLength: 5 }), trailers, fc.array(fc.nat(), { maxLength: 12 }), (parts, tail, cuts) => {
				const chunks = parts.map(([data, extension, upper]) => {
					const size = data.length.toString(16);
					return `${upper ? size.toUpperCase() : size}${extension}\r\n${data}\r\n`;
				});
				const text = `${chunks.join("")}0\r\n${tail.join("")}\r\n`;
				const result = pass(splitAt(text, cuts));
				expect(result).toMatchObject({ taken: text.length, isDone: true });
				expect(decodeChunks(result!.passed)).toBe(parts.map(([data]) => data).join(""));
			}),
			{ numRuns: stressed(500) },
		);
	});
});
