import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeTraceContext, encodeTraceContext, traceContextOf, traceparentOf } from "../../src/index.ts";

const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const spanId = "00f067aa0ba902b7";
const parent = `00-${traceId}-${spanId}-01`;

describe("a trace context in headers", () => {
	it("is read, and written for the next in the chain", () => {
		const context = traceContextOf(parent, "vendor=1,other=x");
		expect(context).toEqual({ traceId, spanId, isSampled: true, state: "vendor=1,other=x" });
		expect(traceparentOf(context!)).toBe(parent);
		expect(traceContextOf(`00-${traceId}-${spanId}-00`, "")).toMatchObject({ isSampled: false });
		expect(traceContextOf(`cc-${traceId}-${spanId}-01-what-comes-later`, "")).toMatchObject({ traceId });
	});

	it.each([
		["nothing", ""],
		["a version that is invalid", `ff-${traceId}-${spanId}-01`],
		["more than version 00 has", `${parent}-more`],
		["upper case", parent.toUpperCase()],
		["a trace of zeros", `00-${"0".repeat(32)}-${spanId}-01`],
		["a parent of zeros", `00-${traceId}-${"0".repeat(16)}-01`],
		["another length", `00-${traceId}-${spanId}-1`],
		["a very long text", `cc-${traceId}-${spanId}-01-${"x".repeat(100_000)}`],
		["a line break", `00-${traceId}-${spanId}-01\n`],
	])("is not read from %s", (_, text) => {
		expect(traceContextOf(text, "")).toBeNull();
	});

	it("goes on without a tracestate that is too long, or has more than printable ASCII", () => {
		for (const state of ["x".repeat(513), "a=\u0000", "a=é", "a=1\r\nb: 2"])
			expect(traceContextOf(parent, state)).toMatchObject({ state: "" });
		expect(traceContextOf(parent, "x".repeat(512))?.state).toHaveLength(512);
	});

	it("survives a record, and any other bytes are refused or give text that is safe in a header", () => {
		const context = traceContextOf(parent, "vendor=1")!;
		expect(decodeTraceContext(encodeTraceContext(context))).toEqual(context);
		expect(decodeTraceContext(new Uint8Array(24))).toBeNull();
		expect(decodeTraceContext(new Uint8Array(600))).toBeNull();
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
				const decoded = decodeTraceContext(bytes);
				if (decoded !== null) expect(`${traceparentOf(decoded)}${decoded.state}`).toMatch(/^[\x20-\x7e]*$/);
			}),
		);
	});
});
