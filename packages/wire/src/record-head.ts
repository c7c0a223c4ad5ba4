import { BusRecord, RecordKind } from "./bus-record.ts";

/** What a reader needs of one record. Offsets are into the same `u8` and `view` that the record was read from. */
export interface RecordHead {
	kind: RecordKind;
	/** The connection within the publishing member that must not get it back; 0 = nobody. */
	sender: number;
	/** Whose connection that is (`shardLife`); 0 = the publishing member's. */
	senderShard: number;
	channelCount: number;
	channelsStart: number;
	payloadStart: number;
	payloadEnd: number;
	publishedMs: number;
}

/** To be made once per reader and filled again for each record: a head per record would be garbage on the hot path. */
export function createRecordHead(): RecordHead {
	return {
		kind: RecordKind.text,
		sender: 0,
		senderShard: 0,
		channelCount: 0,
		channelsStart: 0,
		payloadStart: 0,
		payloadEnd: 0,
		publishedMs: 0,
	};
}

/**
 * Reads the head of the record in `start … end` into `head`. No allocation.
 * @throws RangeError when the lengths in it contradict its size: whoever wrote it speaks another version.
 */
export function readRecordHead(view: DataView, start: number, end: number, head: RecordHead): void {
	if (end - start < BusRecord.headerBytes) throw new RangeError(`a record of ${end - start} bytes has no room for its head`);
	const kind = view.getUint8(start);
	if (kind !== RecordKind.text && kind !== RecordKind.binary) throw new RangeError(`a record of unknown kind ${kind}`);
	const channelsStart = start + BusRecord.headerBytes;
	const payloadStart = channelsStart + view.getUint16(start + BusRecord.channelBytesOffset, true);
	const payloadEnd = payloadStart + view.getUint32(start + BusRecord.payloadBytesOffset, true);
	if (payloadEnd !== end) throw new RangeError(`a record of ${end - start} bytes whose head says ${payloadEnd - start}`);
	head.kind = kind;
	head.sender = view.getUint32(start + BusRecord.senderOffset, true);
	head.senderShard = view.getUint32(start + BusRecord.senderShardOffset, true);
	head.channelCount = view.getUint8(start + BusRecord.channelCountOffset);
	head.channelsStart = channelsStart;
	head.payloadStart = payloadStart;
	head.payloadEnd = payloadEnd;
	head.publishedMs = view.getFloat64(start + BusRecord.publishedOffset, true);
}

/** Byte layout of one channel entry; see `BusRecord`. */
export const ChannelEntry = { hashOffset: 0, lengthOffset: 4, nameOffset: 5 } as const;

/** Whether the channel entry at `at` carries the name `name`. Hashes are compared first by the caller. */
export function channelEntryIs(u8: Uint8Array, at: number, name: Uint8Array): boolean {
	const length = u8[at + ChannelEntry.lengthOffset];
	if (length !== name.length) return false;
	const start = at + ChannelEntry.nameOffset;
	for (let index = 0; index < length; index++) if (u8[start + index] !== name[index]) return false;
	return true;
}

/** Where the entry after the one at `at` begins. */
export function nextChannelEntry(u8: Uint8Array, at: number): number {
	return at + ChannelEntry.nameOffset + u8[at + ChannelEntry.lengthOffset];
}
