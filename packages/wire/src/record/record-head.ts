import { BusRecord, ChannelEntry, RecordKind, RecordType } from "./record-descriptor.ts";

// Local constants, since V8 would otherwise look up the property for every record.
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

/** The decoded head of a record. Offsets refer to the `u8` and `view` that the record was read from. */
export interface RecordHead {
	/** A `RecordType`. An unknown value comes from a newer writer: ignore the record. */
	type: number;
	kind: RecordKind;
	/** `allShards`, or a shard's slot + 1: the others ignore the record. */
	target: number;
	/** Connection of the publishing member that must not get the message back; 0 = none. */
	sender: number;
	/** Shard of that connection (`incarnationId`); 0 = the publishing member. */
	senderShard: number;
	channelCount: number;
	channelsStart: number;
	/** Start of the extensions, which end at the payload. */
	extensionsStart: number;
	payloadStart: number;
	payloadEnd: number;
	publishedMs: number;
}

/** Create one per reader and refill it for each record: one object per record would be garbage on the hot path. */
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
 * Reads the head of the record in `start … end` into `head`. No allocation. It validates the lengths of channel entries; `readExtensions`
 * validates the extensions.
 * @throws RangeError when the lengths do not match the record's size: the writer uses another version.
 */
export function readRecordHead(view: DataView, start: number, end: number, head: RecordHead): void {
	if (end - start < headerBytes) throw noRoom(end - start);
	const type = view.getUint8(start);
	const kind = view.getUint8(start + kindOffset);
	// Other types may define other kinds. A record of an unknown type is ignored as a whole.
	if (kind !== RecordKind.text && kind !== RecordKind.binary && (type === RecordType.publication || type === RecordType.urgent))
		throw unknownKind(kind);
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

// Separate functions, so that `readRecordHead` is small enough for V8 to inline. This and the local constants above halve its cost.
const noRoom = (bytes: number) => new RangeError(`a record of ${bytes} bytes has no room for its head`);
const unknownKind = (kind: number) => new RangeError(`a record of unknown kind ${kind}`);
const tooShort = (bytes: number, least: number) => new RangeError(`a record of ${bytes} bytes whose head requires at least ${least}`);
const wrongChannels = (count: number, bytes: number) =>
	new RangeError(`a record whose ${count} channels do not have the ${bytes} bytes given in its head`);

/** Whether the channel entry at `at` has this name. The caller compares hashes first. */
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

/** Start of the entry after the one at `at`. */
export function nextChannelEntry(u8: Uint8Array, at: number): number {
	return at + nameOffset + u8[at + lengthOffset];
}
