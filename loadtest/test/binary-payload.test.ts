import { describe, expect, it } from "vitest";
import { isPayload, numberOf, payloadBytesMin, senderOf, sentMsOf, writePayload } from "../src/protocols/binary-payload.ts";

describe("payload", () => {
	it.each([payloadBytesMin, 128, 65_536])("of %d bytes carries sender, number and time", (bytes) => {
		const payload = writePayload(bytes, 4_000_000_000, 7, 123_456.789);
		expect(payload).toHaveLength(bytes);
		expect(isPayload(payload, 0, bytes)).toBe(true);
		expect([senderOf(payload, 0), numberOf(payload, 0), sentMsOf(payload, 0)]).toEqual([4_000_000_000, 7, 123_456.789]);
	});

	it("is recognised anywhere in a buffer, and nowhere else", () => {
		const payload = writePayload(64, 1, 2, 3);
		const around = Buffer.concat([Buffer.alloc(5, 1), payload, Buffer.alloc(5, 2)]);
		expect(isPayload(around, 5, 69)).toBe(true);
		expect(isPayload(around, 4, 68)).toBe(false);
		expect(isPayload(around, 5, 68)).toBe(false);
		expect(isPayload(around, 5, 70)).toBe(false);
		expect(isPayload(Buffer.alloc(10), 0, 10)).toBe(false);
	});

	it("is not taken for whole when head and tail come from two messages", () => {
		const [first, second] = [writePayload(64, 1, 2, 3), writePayload(64, 1, 3, 3)];
		expect(isPayload(Buffer.concat([first.subarray(0, 40), second.subarray(40)]), 0, 64)).toBe(false);
		for (const at of [0, 4, 8, 12, 63]) {
			const damaged = Buffer.from(first);
			damaged[at] ^= 1;
			expect(isPayload(damaged, 0, 64), `byte ${at}`).toBe(false);
		}
	});
});
