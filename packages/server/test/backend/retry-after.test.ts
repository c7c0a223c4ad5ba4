import { describe, expect, it } from "vitest";
import { retryAfterMs } from "../../src/backend/retry-after.ts";

describe("the header Retry-After", () => {
	const nowMs = Date.parse("Sat, 28 Nov 2026 13:00:00 GMT");

	it.each([
		[undefined, 0],
		["0", 0],
		["120", 120_000],
		["Sat, 28 Nov 2026 13:01:30 GMT", 90_000],
		["Sat, 28 Nov 2026 12:00:00 GMT", 0],
		["soon", 0],
		["-5 apples", 0],
		["", 0],
	])("%j is a pause of %d ms", (header, ms) => {
		expect(retryAfterMs(header, nowMs)).toBe(ms);
	});
});
