import { BusRecord, ChannelEntry, RecordKind, RecordType } from "./record-descriptor.ts";

// Variables, since V8 would look each of these up in its table for every record.
const {
	channelBytesOffset,
	channelCountOffset,
	extensionBytesOffset,
	headerBytes,
	kindOffset,
	publishedOffset,
	senderOffset,
	senderShardOffset,
	targetOffset,
} = BusRecord;
const { lengthOffset, nameOffset } = ChannelEntry;

/** What a reader needs of one record. Offsets are into the same `u8` and `view` that the record was read from. */
export interface RecordHead {
	/** A `RecordType`; any other comes from a newer writer, and is to be passed over. */
	type: number;
	kind: RecordKind;
	/** `everyShard`, or a shard's slot + 1: all others pass the record over. */
	target: number;
	/** The connection within the publishing member that must not get it back; 0 = nobody. */
	sender: number;
	/** Whose connection that is (`shardLife`); 0 = the publishing member's. */
	senderShard: number;
	channelCount: number;
	channelsStart: number;
	/** They end at the payload. */
	extensionsStart: number;
	payloadStart: number;
	payloadEnd: number;
	publishedMs: number;
}

/** To be made once per reader and filled again for each record: a head per record would be garbage on the hot path. */
export function createRecordHead(): RecordHead {
	return {
		type: RecordType.publication,
		kind: RecordKind.text,
		target: 0,
		sender: 0,
		senderShard: 0,
		channelCount: 0,
		channelsStart: 0,
		extensionsStart: 0,
		payloadStart: 0,
		payloadEnd: 0,
		publishedMs: 0,
	};
}

/**
 * Reads the head of the record in `start … end` into `head`. No allocation. Channel entries are known to lie within their place afterwards;
 * extensions are looked at by `readExtensions` only.
 * @throws RangeError when the lengths in it contradict its size: whoever wrote it speaks another version.
 */
export function readRecordHead(view: DataView, start: number, end: number, head: RecordHead): void {
	if (end - start < headerBytes) throw noRoom(end - start);
	const type = view.getUint8(start);
	const kind = view.getUint8(start + kindOffset);
	// What the kinds of other types are is theirs to say: a type from newer code is passed over as a whole.
	if (kind !== RecordKind.text && kind !== RecordKind.binary && type === RecordType.publication) throw unknownKind(kind);
	const channelCount = view.getUint8(start + channelCountOffset);
	const channelsStart = start + headerBytes;
	const extensionsStart = channelsStart + view.getUint16(start + channelBytesOffset, true);
	const payloadStart = extensionsStart + view.getUint16(start + extensionBytesOffset, true);
	if (payloadStart > end) throw tooShort(end - start, payloadStart - start);
	let at = channelsStart;
	let channel = 0;
	for (; channel < channelCount && at + nameOffset <= extensionsStart; channel++) at += nameOffset + view.getUint8(at + lengthOffset);
	if (channel !== channelCount || at !== extensionsStart) throw wrongChannels(channelCount, extensionsStart - channelsStart);
	head.type = type;
	head.kind = kind as RecordKind;
	head.target = view.getUint8(start + targetOffset);
	head.sender = view.getUint32(start + senderOffset, true);
	head.senderShard = view.getUint32(start + senderShardOffset, true);
	head.channelCount = channelCount;
	head.channelsStart = channelsStart;
	head.extensionsStart = extensionsStart;
	head.payloadStart = payloadStart;
	head.payloadEnd = end;
	head.publishedMs = view.getFloat64(start + publishedOffset, true);
}

// Made elsewhere, so that V8 finds `readRecordHead` small enough to put it inline: that and the variables above halve its cost.
const noRoom = (bytes: number) => new RangeError(`a record of ${bytes} bytes has no room for its head`);
const unknownKind = (kind: number) => new RangeError(`a record of unknown kind ${kind}`);
const tooShort = (bytes: number, least: number) => new RangeError(`a record of ${bytes} bytes whose head says ${least} or more`);
const wrongChannels = (count: number, bytes: number) =>
	new RangeError(`a record whose ${count} channels do not take the ${bytes} bytes that its head says`);

/** Whether the channel entry at `at` carries the name `name`. Hashes are compared first by the caller. */
export function channelEntryIs(u8: Uint8Array, at: number, name: Uint8Array): boolean {
	const length = u8[at + lengthOffset];
	if (length !== name.length) return false;
	const start = at + nameOffset;
	for (let index = 0; index < length; index++) if (u8[start + index] !== name[index]) return false;
	return true;
}

/** The name in the channel entry at `at`. */
export function channelNameAt(u8: Uint8Array, at: number): string {
	const start = u8.byteOffset + at + nameOffset;
	return Buffer.from(u8.buffer, start, u8[at + lengthOffset]).toString();
}

/** Where the entry after the one at `at` begins. */
export function nextChannelEntry(u8: Uint8Array, at: number): number {
	return at + nameOffset + u8[at + lengthOffset];
}
