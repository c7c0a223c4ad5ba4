import { stressed } from "@shardcast/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
	ackedClass,
	classOf,
	encodeFrameHeader,
	hasWindow,
	isUrgent,
	mayDrop,
	messageProblem,
	readU32,
} from "../../src/frames/frame-codec.ts";
import { FrameClass, FrameLayout, frameClassCount } from "../../src/frames/frame-descriptor.ts";

const u32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1), fc.integer({ min: 0, max: 2 ** 32 - 1 }));

describe("frame codec", () => {
	it("writes the documented bytes", () => {
		const bytes = new Uint8Array(14).fill(0xee);
		expect(encodeFrameHeader(bytes, 1, 0x01020304, 0xf1020304, 7)).toBe(13);
		expect([...bytes]).toEqual([0xee, 1, 2, 3, 4, 0xf1, 2, 3, 4, 0, 0, 0, 7, 0xee]);
	});

	it("writes and reads every header as DataView does", () => {
		fc.assert(
			fc.property(u32, u32, u32, fc.nat(20), (length, client, backend, at) => {
				const ours = new Uint8Array(40);
				encodeFrameHeader(ours, at, length, client, backend);
				const theirs = new Uint8Array(40);
				const view = new DataView(theirs.buffer);
				view.setUint32(at, length);
				view.setUint32(at + 4, client);
				view.setUint32(at + 8, backend);
				expect(Buffer.from(ours).equals(theirs)).toBe(true);
				expect([readU32(ours, at), readU32(ours, at + 4), readU32(ours, at + 8)]).toEqual([length, client, backend]);
			}),
			{ numRuns: stressed(200) },
		);
	});

	it("says which messages are no frames", () => {
		const problem = (bytes: number): unknown => messageProblem(new Uint8Array(bytes), 100);
		expect(problem(0)).toBe("too_short");
		expect(problem(FrameLayout.messageHeaderBytes)).toBe("too_short");
		expect(problem(FrameLayout.messageHeaderBytes + 1)).toBeNull();
		expect(problem(FrameLayout.messageHeaderBytes + 100)).toBeNull();
		expect(problem(FrameLayout.messageHeaderBytes + 101)).toBe("too_long");
	});

	it("knows the five classes and no other", () => {
		for (let value = 0; value < 256; value++) expect(classOf(Uint8Array.of(9, value), 1)).toBe(value <= 4 ? value : -1);
	});

	it("takes an ACK without a class for one of VIDEO", () => {
		expect(ackedClass(Uint8Array.of(FrameClass.ACK))).toBe(FrameClass.VIDEO);
		expect(ackedClass(Uint8Array.of(FrameClass.ACK, FrameClass.VIDEO, 99))).toBe(FrameClass.VIDEO);
		expect(ackedClass(Uint8Array.of(FrameClass.ACK, FrameClass.FILE))).toBe(FrameClass.FILE);
		expect(ackedClass(Uint8Array.of(FrameClass.ACK, 77))).toBe(-1);
	});

	it("drops VIDEO alone, and hurries with CONTROL, ACK and LINK", () => {
		const classes = Object.entries(FrameClass);
		expect(classes.filter(([, value]) => mayDrop(value)).map(([name]) => name)).toEqual(["VIDEO"]);
		expect(classes.filter(([, value]) => isUrgent(value)).map(([name]) => name)).toEqual(["LINK", "CONTROL", "ACK"]);
		expect(classes.filter(([, value]) => hasWindow(value)).map(([name]) => name)).toEqual(["VIDEO"]);
	});

	it.each(Object.entries(FrameClass))(
		"%s is urgent, or may be dropped, or neither: not both; and if it has a window, it may be dropped",
		(_, value) => {
			expect(isUrgent(value) && mayDrop(value)).toBe(false);
			expect(hasWindow(value) && !mayDrop(value)).toBe(false);
		},
	);

	it("of a class that nobody knows, a frame has no priority, and is not dropped", () => {
		for (let value = frameClassCount; value < 256; value++)
			expect([isUrgent(value), mayDrop(value), hasWindow(value)]).toEqual([false, false, false]);
	});
});
