import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BusRecord, channelList, RecordKind, recordBytes, writeRecordHead } from "../src/bus-record.ts";
import { channelHash } from "../src/channel-hash.ts";
import { channelEntryIs, createRecordHead, nextChannelEntry, readRecordHead } from "../src/record-head.ts";

const channelNames = fc.uniqueArray(fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }), { maxLength: BusRecord.channelsMax });

describe("a record's head", () => {
	it("is read as it was written, wherever it lies", () => {
		fc.assert(
			fc.property(
				channelNames,
				fc.uint8Array({ maxLength: 200 }),
				fc.integer({ min: 0, max: 0xffffffff }),
				fc.constantFrom(RecordKind.text, RecordKind.binary),
				fc.integer({ min: 0, max: 40 }).map((units) => units * 8),
				(names, payload, sender, kind, at) => {
					const channels = channelList(names);
					const bytes = recordBytes(channels, payload.length);
					const u8 = new Uint8Array(at + bytes + 9).fill(0xee);
					const view = new DataView(u8.buffer);
					u8.set(payload, writeRecordHead(view, u8, at, kind, sender, 1234.5, channels, payload.length));

					const head = createRecordHead();
					readRecordHead(view, at, at + bytes, head);
					expect(head).toMatchObject({ kind, sender, channelCount: names.length, publishedMs: 1234.5, payloadEnd: at + bytes });
					expect(u8.subarray(head.payloadStart, head.payloadEnd)).toEqual(payload);
					let entry = head.channelsStart;
					for (const name of names) {
						const encoded = new TextEncoder().encode(name);
						expect(view.getUint32(entry, true)).toBe(channelHash(encoded));
						expect(channelEntryIs(u8, entry, encoded)).toBe(true);
						expect(channelEntryIs(u8, entry, new TextEncoder().encode(`${name}x`))).toBe(false);
						entry = nextChannelEntry(u8, entry);
					}
					expect(entry).toBe(head.payloadStart);
				},
			),
		);
	});

	it("is refused when its lengths contradict the record", () => {
		const channels = channelList(["a"]);
		const bytes = recordBytes(channels, 5);
		const u8 = new Uint8Array(bytes + 8);
		const view = new DataView(u8.buffer);
		writeRecordHead(view, u8, 0, RecordKind.text, 1, 0, channels, 5);
		const head = createRecordHead();
		expect(() => readRecordHead(view, 0, bytes, head)).not.toThrow();
		expect(() => readRecordHead(view, 0, bytes - 1, head)).toThrow(/head says/);
		expect(() => readRecordHead(view, 0, bytes + 1, head)).toThrow(/head says/);
		expect(() => readRecordHead(view, 0, BusRecord.headerBytes - 1, head)).toThrow(/no room/);
		view.setUint8(0, 7);
		expect(() => readRecordHead(view, 0, bytes, head)).toThrow(/unknown kind 7/);
	});
});

describe("a channel list", () => {
	it("takes each name once and refuses what a record cannot carry", () => {
		expect(channelList(["a", "b", "a"]).names).toEqual(["a", "b"]);
		expect(channelList([]).count).toBe(0);
		expect(() => channelList([""])).toThrow(/empty/);
		expect(() => channelList(["é".repeat(128)])).toThrow(/256 bytes/);
		expect(() => channelList(Array.from({ length: 33 }, (_, index) => `c${index}`))).toThrow(/33 channels/);
	});
});
