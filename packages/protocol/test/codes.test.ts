import { describe, expect, it } from "vitest";
import { DisconnectCode, disconnects, ErrorCode, replyErrors, UnsubscribeCode, unsubscribes } from "../src/index.ts";

describe("the codes", () => {
	it("of disconnects are from 3500 on where clients must not reconnect", () => {
		const terminal = Object.values(DisconnectCode).filter((code) => code >= 3500);
		expect(terminal).toEqual([3500, 3501, 3502, 3503, 3504, 3505, 3506, 3507, 3508, 3509]);
	});

	it("of temporary errors are 100, 111 and 113", () => {
		const temporary = Object.values(ErrorCode).filter((code) => replyErrors[code].temporary);
		expect(temporary).toEqual([100, 111, 113]);
		expect(Object.values(ErrorCode)).toEqual(Array.from({ length: 14 }, (_, index) => 100 + index));
	});

	it("have reasons that fit into a close frame", () => {
		for (const { reason } of [...Object.values(disconnects), ...Object.values(unsubscribes)]) {
			expect(reason.length).toBeGreaterThan(3);
			expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
		}
		expect(Object.keys(unsubscribes).map(Number)).toEqual(Object.values(UnsubscribeCode));
	});
});
