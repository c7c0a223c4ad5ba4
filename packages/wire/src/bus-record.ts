import type { ChannelList } from "./channel-list.ts";
import { BusRecord, type RecordKind, RecordType } from "./record-descriptor.ts";

/** A record of any type. `writeRecordHead` is the short way for a publication without anything special. */
export interface RecordFields {
	readonly type: RecordType;
	readonly kind: RecordKind;
	/** The slot of the shard that it is for; null = for all. */
	readonly targetSlot: number | null;
	readonly sender: number;
	readonly senderShard: number;
	readonly publishedMs: number;
	readonly channels: ChannelList;
	/** See `encodeExtensions`. */
	readonly extensions: Uint8Array;
}

/** Bytes that a record takes, before the ring's own header and padding. */
export function recordBytes(channels: ChannelList, payloadBytes: number, extensionBytes = 0): number {
	return BusRecord.headerBytes + channels.bytes.length + extensionBytes + payloadBytes;
}

/**
 * Writes all of a publication but its payload at `at` and returns where the payload goes. The caller has claimed
 * `recordBytes(channels, payloadBytes)` bytes there. No allocation.
 */
export function writeRecordHead(
	view: DataView,
	u8: Uint8Array,
	at: number,
	kind: RecordKind,
	sender: number,
	publishedMs: number,
	channels: ChannelList,
): number {
	// Two stores for six fields: this is written for every message.
	view.setUint32(at, RecordType.publication | (kind << kindShift) | (channels.count << channelCountShift), true);
	view.setUint32(at + BusRecord.channelBytesOffset, channels.bytes.length, true);
	view.setUint32(at + BusRecord.senderOffset, sender, true);
	view.setUint32(at + BusRecord.senderShardOffset, 0, true);
	view.setFloat64(at + BusRecord.publishedOffset, publishedMs, true);
	const body = at + BusRecord.headerBytes;
	if (channels.bytes.length > 0) u8.set(channels.bytes, body);
	return body + channels.bytes.length;
}

/**
 * As `writeRecordHead`, for any record. The caller has claimed `recordBytes(channels, payloadBytes, extensions.length)` bytes.
 * @throws RangeError when the extensions are too long for a record, or the slot is none.
 */
export function writeRecord(view: DataView, u8: Uint8Array, at: number, fields: RecordFields): number {
	const { extensions, targetSlot } = fields;
	if (extensions.length > BusRecord.extensionBytesMax)
		throw new RangeError(`${extensions.length} bytes of extensions; the most is ${BusRecord.extensionBytesMax}`);
	const body = writeRecordHead(view, u8, at, fields.kind, fields.sender, fields.publishedMs, fields.channels);
	view.setUint8(at + BusRecord.typeOffset, fields.type);
	view.setUint8(at + BusRecord.targetOffset, targetSlot === null ? everyShard : recordTarget(targetSlot));
	view.setUint16(at + BusRecord.extensionBytesOffset, extensions.length, true);
	setSenderShard(view, at, fields.senderShard);
	u8.set(extensions, body);
	return body + extensions.length;
}

/** A record's target when it is for all. */
export const everyShard = 0;

/** A record's target for the shard in this slot. @throws RangeError when it is none. */
export function recordTarget(slot: number): number {
	if (!Number.isInteger(slot) || slot < 0 || slot > 254) throw new RangeError(`slot ${slot} is not a whole number from 0 to 254`);
	return slot + 1;
}

/** A shard in one of its lives, never 0: connections are numbered from the start in each. */
export function shardLife(slot: number, incarnation: number): number {
	return (((slot + 1) << 16) | (incarnation & 0xffff)) >>> 0;
}

/** Says whose connection the sender of the record at `at` is, when it is not the publishing member's own. */
export function setSenderShard(view: DataView, at: number, life: number): void {
	view.setUint32(at + BusRecord.senderShardOffset, life, true);
}

const kindShift = BusRecord.kindOffset * 8;
const channelCountShift = BusRecord.channelCountOffset * 8;
