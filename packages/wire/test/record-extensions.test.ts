import { describe, expect, it } from "vitest";
import {
	channelList,
	createRecordHead,
	Extension,
	encodeExtensions,
	extensionAt,
	extensionEnd,
	insertExtensions,
	RecordKind,
	readExtensions,
	readRecordHead,
	recordBytes,
	writeRecordHead,
} from "../src/index.ts";

const channels = channelList(["news", "sport"]);
const payload = Buffer.from("hello");

function recordWith(extensions: Uint8Array) {
	const u8 = new Uint8Array(recordBytes(channels, payload.length, extensions.length));
	const view = new DataView(u8.buffer);
	const body = writeRecordHead(view, u8, 0, RecordKind.text, 0, 1, channels);
	u8.set(payload, insertExtensions(view, u8, 0, body, extensions));
	const head = createRecordHead();
	readRecordHead(view, 0, u8.length, head);
	return { u8, view, head };
}

describe("extensions that are inserted into a record", () => {
	it("are found by type, without moving the payload or the channels out of place", () => {
		const trace = Uint8Array.of(7, 8, 9);
		const { u8, view, head } = recordWith(encodeExtensions({ tags: { a: "b" }, trace, queuedMs: 12.5 }));
		expect(Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString()).toBe("hello");
		expect(head.channelCount).toBe(2);
		const at = extensionAt(view, head, Extension.types.trace);
		expect([...u8.subarray(at, extensionEnd(view, at))]).toEqual([7, 8, 9]);
		expect(view.getFloat64(extensionAt(view, head, Extension.types.queued), true)).toBe(12.5);
		expect(extensionAt(view, head, Extension.types.info)).toBe(-1);
		expect(readExtensions(u8, view, head)).toEqual({ tags: { a: "b" }, trace, queuedMs: 12.5 });
	});

	it("are none in a record without, and whatever bytes stand there, the search stays within them", () => {
		const none = recordWith(new Uint8Array(0));
		expect(extensionAt(none.view, none.head, Extension.types.trace)).toBe(-1);
		for (const bytes of [[5], [5, 0], [5, 255, 255, 1], [9, 1, 0, 1, 5, 9, 0]]) {
			const { view, head } = recordWith(Uint8Array.from(bytes));
			expect(extensionAt(view, head, Extension.types.trace)).toBe(-1);
		}
	});
});
