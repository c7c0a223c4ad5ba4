import { stressed } from "@shardcast/testkit";
import { arbitraryText } from "@shardcast/testkit/arbitraries";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allShards, recordBytes, recordTarget, writeRecord, writeRecordHead } from "../src/record/bus-record.ts";
import { channelHash } from "../src/record/channel-hash.ts";
import { channelList } from "../src/record/channel-list.ts";
import { BusRecord, RecordKind, RecordType } from "../src/record/record-descriptor.ts";
import { encodeExtensions, noExtensions, type RecordExtensions, readExtensions } from "../src/record/record-extensions.ts";
import { channelEntryIs, createRecordHead, nextChannelEntry, readRecordHead } from "../src/record/record-head.ts";

const channelNames = fc.uniqueArray(arbitraryText({ minLength: 1, maxLength: 12 }), { maxLength: BusRecord.channelsMax });

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
					u8.set(payload, writeRecordHead(view, u8, at, kind, sender, 1234.5, channels));

					const head = createRecordHead();
					readRecordHead(view, at, at + bytes, head);
					expect(head).toMatchObject({ type: RecordType.publication, target: allShards, kind, sender, senderShard: 0 });
					expect(head).toMatchObject({ channelCount: names.length, publishedMs: 1234.5, payloadEnd: at + bytes });
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
		const channels = channelList(["ab"]);
		const bytes = recordBytes(channels, 0);
		const u8 = new Uint8Array(bytes + 8);
		const view = new DataView(u8.buffer);
		const read = (end: number) => () => readRecordHead(view, 0, end, createRecordHead());
		writeRecordHead(view, u8, 0, RecordKind.text, 1, 0, channels);
		expect(read(bytes)).not.toThrow();
		expect(read(bytes - 1)).toThrow(/head requires/);
		expect(read(BusRecord.headerBytes - 1)).toThrow(/no room/);
		view.setUint8(BusRecord.channelCountOffset, 2);
		expect(read(bytes)).toThrow(/2 channels do not have the 7 bytes/);
		view.setUint8(BusRecord.channelCountOffset, 0);
		expect(read(bytes)).toThrow(/0 channels do not have the 7 bytes/);
		view.setUint8(BusRecord.channelCountOffset, 1);
		view.setUint8(BusRecord.headerBytes + 4, 3);
		expect(read(bytes)).toThrow(/1 channels do not have the 7 bytes/);
		view.setUint8(BusRecord.headerBytes + 4, 2);
		view.setUint8(BusRecord.kindOffset, 7);
		expect(read(bytes)).toThrow(/unknown kind 7/);
		// A type from newer code has its own kinds, and is passed over.
		u8[0] = 9;
		expect(read(bytes)).not.toThrow();
	});
});

/** Something of every part, as bytes that lie in the middle of others. */
const records = fc.record({
	type: fc.constantFrom(...Object.values(RecordType)),
	kind: fc.constantFrom(RecordKind.text, RecordKind.binary),
	targetSlot: fc.option(fc.integer({ min: 0, max: 63 })),
	sender: fc.integer({ min: 0, max: 0xffffffff }),
	senderShard: fc.integer({ min: 0, max: 0xffffffff }),
	publishedMs: fc.double({ noNaN: true }),
	names: channelNames,
	extensions: fc.record<RecordExtensions>(
		{
			offset: fc.maxSafeNat(),
			epoch: fc.string(),
			tags: fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
			info: fc.uint8Array({ maxLength: 100 }),
		},
		{ requiredKeys: [] },
	),
	payload: fc.uint8Array({ maxLength: 60 }),
	at: fc.nat(40),
});

type Fields = typeof records extends fc.Arbitrary<infer Of> ? Of : never;

function written({ names, extensions, payload, at, ...fields }: Fields) {
	const channels = channelList(names);
	const encoded = encodeExtensions(extensions);
	const end = at + recordBytes(channels, payload.length, encoded.length);
	const u8 = new Uint8Array(end + 50).fill(0xee);
	u8.set(payload, writeRecord(new DataView(u8.buffer), u8, at, { ...fields, channels, extensions: encoded }));
	return { u8, at, end };
}

/** A view that says so when it is asked for anything outside of the record. */
class GuardedView extends DataView<ArrayBuffer> {
	outside = 0;
	readonly #start: number;
	readonly #end: number;

	constructor(buffer: ArrayBuffer, start: number, end: number) {
		super(buffer);
		this.#start = start;
		this.#end = end;
	}

	#look(at: number, bytes: number): void {
		if (at < this.#start || at + bytes > this.#end) this.outside++;
	}

	override getUint8(at: number): number {
		this.#look(at, 1);
		return super.getUint8(at);
	}

	override getUint16(at: number, little?: boolean): number {
		this.#look(at, 2);
		return super.getUint16(at, little);
	}

	override getUint32(at: number, little?: boolean): number {
		this.#look(at, 4);
		return super.getUint32(at, little);
	}

	override getFloat64(at: number, little?: boolean): number {
		this.#look(at, 8);
		return super.getFloat64(at, little);
	}
}

describe("a record of any type", () => {
	it("is read as it was written, with its extensions", () => {
		fc.assert(
			fc.property(records, (fields) => {
				const { u8, at, end } = written(fields);
				const view = new GuardedView(u8.buffer, at, end);
				const head = createRecordHead();
				readRecordHead(view, at, end, head);
				const { type, kind, sender, senderShard, publishedMs, targetSlot, names, payload, extensions } = fields;
				const target = targetSlot === null ? allShards : recordTarget(targetSlot);
				expect(head).toMatchObject({ type, kind, target, sender, senderShard, publishedMs, channelCount: names.length, payloadEnd: end });
				expect(u8.subarray(head.payloadStart, head.payloadEnd)).toEqual(payload);
				expect(readExtensions(u8, view, head)).toEqual({
					...JSON.parse(JSON.stringify(extensions)),
					...(extensions.info && { info: extensions.info }),
				});
				expect(view.outside).toBe(0);
				expect([...u8.subarray(0, at), ...u8.subarray(end)].every((byte) => byte === 0xee)).toBe(true);
			}),
		);
	});

	it("from a newer writer: extensions of unknown types are skipped, an unknown type of record is told", () => {
		const known = encodeExtensions({ offset: 7, epoch: "e", tags: { a: "b" } });
		const unknown = new Uint8Array([200, 3, 0, 1, 2, 3]);
		const empty = new Uint8Array([201, 0, 0]);
		const extensions = Buffer.concat([unknown, known, empty, unknown]);
		const channels = channelList(["a"]);
		const u8 = new Uint8Array(recordBytes(channels, 2, extensions.length));
		const view = new DataView(u8.buffer);
		const fields = { type: RecordType.reply, kind: RecordKind.binary, targetSlot: 3, sender: 1, senderShard: 2, publishedMs: 3 };
		u8.set([1, 2], writeRecord(view, u8, 0, { ...fields, channels, extensions }));
		view.setUint8(BusRecord.typeOffset, 99);
		const head = createRecordHead();
		readRecordHead(view, 0, u8.length, head);
		expect([head.type, ...u8.subarray(head.payloadStart, head.payloadEnd)]).toEqual([99, 1, 2]);
		expect(readExtensions(u8, view, head)).toEqual({ offset: 7, epoch: "e", tags: { a: "b" } });
	});

	it("with bytes changed or cut off is read within its bounds, or refused", { tags: ["long"] }, () => {
		let refused = 0;
		const mutation = fc.record({ place: fc.nat(300), byte: fc.integer({ min: 0, max: 255 }) });
		fc.assert(
			fc.property(records, fc.array(mutation, { maxLength: 4 }), fc.nat(80), (fields, mutations, cut) => {
				const { u8, at, end: whole } = written(fields);
				for (const { place, byte } of mutations) u8[at + (place % (whole - at))] = byte;
				const end = Math.max(at, whole - cut);
				const view = new GuardedView(u8.buffer, at, end);
				const head = createRecordHead();
				try {
					readRecordHead(view, at, end, head);
					let entry = head.channelsStart;
					for (let channel = 0; channel < head.channelCount; channel++) entry = nextChannelEntry(u8, entry);
					if (entry !== head.extensionsStart) expect.fail(`the entries end at ${entry}, their place at ${head.extensionsStart}`);
					const { extensionsStart, payloadStart, payloadEnd } = head;
					if (!(extensionsStart <= payloadStart && payloadStart <= payloadEnd && payloadEnd === end)) expect.fail(JSON.stringify(head));
					readExtensions(u8, view, head);
				} catch (error) {
					if (!(error instanceof RangeError)) throw error;
					refused++;
				}
				if (view.outside > 0) expect.fail(`${view.outside} reads outside`);
			}),
			{ numRuns: stressed(2000) },
		);
		expect(refused).toBeGreaterThan(100);
	});

	it("cannot be written with what a reader would refuse", () => {
		expect(() => encodeExtensions({ offset: -1 })).toThrow(/offset -1/);
		expect(() => encodeExtensions({ offset: 1.5 })).toThrow(/offset 1.5/);
		expect(() => encodeExtensions({ tags: { a: "x".repeat(70_000) } })).toThrow(/the most is 65535/);
		expect(encodeExtensions({})).toEqual(noExtensions);
		expect(() => recordTarget(-1)).toThrow(/slot -1/);
		expect(() => recordTarget(255)).toThrow(/slot 255/);
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
