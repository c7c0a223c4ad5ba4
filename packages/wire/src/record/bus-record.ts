import type { ChannelList } from "./channel-list.ts";
import { BusRecord, type RecordKind, RecordType } from "./record-descriptor.ts";

/** A record of any type. For a plain publication, `writeRecordHead` is faster. */
interface RecordFields {
	readonly type: RecordType;
	readonly kind: RecordKind;
	/** Slot of the target shard; null = all shards. */
	readonly targetSlot: number | null;
	readonly sender: number;
	readonly senderShard: number;
	readonly publishedMs: number;
	readonly channels: ChannelList;
	/** Encoded by `encodeExtensions`. */
	readonly extensions: Uint8Array;
}

/** Length of a record, without the ring's header and padding. */
export function recordBytes(channels: ChannelList, payloadBytes: number, extensionBytes = 0): number {
	return BusRecord.headerBytes + channels.bytes.length + extensionBytes + payloadBytes;
}

/**
 * Writes a publication without its payload at `at` and returns where the payload goes. The caller must have claimed
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
	// Two stores for six fields, since this runs for every message.
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
 * Like `writeRecordHead`, for any record. The caller must have claimed `recordBytes(channels, payloadBytes, extensions.length)` bytes.
 * @throws RangeError when the extensions are too long for a record, or the slot is invalid.
 */
export function writeRecord(view: DataView, u8: Uint8Array, at: number, fields: RecordFields): number {
	const { extensions, targetSlot } = fields;
	if (extensions.length > BusRecord.extensionBytesMax)
		throw new RangeError(`${extensions.length} bytes of extensions; the most is ${BusRecord.extensionBytesMax}`);
	const body = writeRecordHead(view, u8, at, fields.kind, fields.sender, fields.publishedMs, fields.channels);
	view.setUint8(at + BusRecord.typeOffset, fields.type);
	view.setUint8(at + BusRecord.targetOffset, targetSlot === null ? allShards : recordTarget(targetSlot));
	view.setUint16(at + BusRecord.extensionBytesOffset, extensions.length, true);
	setSenderShard(view, at, fields.senderShard);
	u8.set(extensions, body);
	return body + extensions.length;
}

/**
 * Adds extensions to a record that `writeRecordHead` has begun; returns where the payload goes then. @param body what `writeRecordHead` returned.
 * The caller must have claimed their bytes as well.
 */
export function insertExtensions(view: DataView, u8: Uint8Array, at: number, body: number, extensions: Uint8Array): number {
	view.setUint16(at + BusRecord.extensionBytesOffset, extensions.length, true);
	u8.set(extensions, body);
	return body + extensions.length;
}

/** Target of a record for all shards. */
export const allShards = 0;

/** Target of a record for the shard in this slot. @throws RangeError for an invalid slot. */
export function recordTarget(slot: number): number {
	if (!Number.isInteger(slot) || slot < 0 || slot > 254) throw new RangeError(`slot ${slot} is not a whole number from 0 to 254`);
	return slot + 1;
}

/** Identifies an incarnation of a shard; never 0. Connection numbers are unique only within one incarnation. */
export function incarnationId(slot: number, incarnation: number): number {
	return (((slot + 1) << 16) | (incarnation & 0xffff)) >>> 0;
}

/** Sets which shard the sender's connection belongs to, if it is not the publishing member. */
export function setSenderShard(view: DataView, at: number, life: number): void {
	view.setUint32(at + BusRecord.senderShardOffset, life, true);
}

const kindShift = BusRecord.kindOffset * 8;
const channelCountShift = BusRecord.channelCountOffset * 8;
