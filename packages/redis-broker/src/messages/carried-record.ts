import { isUtf8 } from "node:buffer";
import { epochParts } from "@shardcast/channel-log";
import {
	allShards,
	BusRecord,
	ChannelEntry,
	isJson,
	isPublisherInfo,
	nextChannelEntry,
	type RecordHead,
	RecordType,
	readExtensions,
	readRecordHead,
} from "@shardcast/wire";

/** Types of records that nodes exchange. */
const carried: ReadonlySet<number> = new Set([
	...[RecordType.publication, RecordType.join, RecordType.leave, RecordType.noticed],
	...[RecordType.direct, RecordType.urgent, RecordType.urgentDirect],
]);
/** Most channels that a node announces in one record. */
const noticedMax = 64;

/**
 * Whether the shards can deliver a record that came from another machine. They trust what is on their bus: a record that they cannot read would end all
 * of them. So everything that they would read of it later is checked here, once.
 * @param head receives the head.
 */
export function isCarried(record: Buffer, head: RecordHead): boolean {
	const view = new DataView(record.buffer, record.byteOffset, record.length);
	try {
		readRecordHead(view, 0, record.length, head);
		if (!carried.has(head.type) || head.target !== allShards || !hasNames(record, head)) return false;
		if (head.extensionsStart < head.payloadStart) {
			const { info } = readExtensions(record, view, head);
			if (info !== undefined && !isPublisherInfo(info)) return false;
		}
	} catch (error) {
		if (error instanceof RangeError) return false;
		throw error;
	}
	const payload = record.subarray(head.payloadStart, head.payloadEnd);
	switch (head.type) {
		case RecordType.join:
		case RecordType.leave:
			return isPublisherInfo(payload);
		case RecordType.direct:
		case RecordType.urgentDirect:
			return isUtf8(payload) && isJson(payload);
		case RecordType.noticed:
			return isNotice(payload);
		default:
			return true;
	}
}

/** Channels, or the id of a user: not empty, and UTF-8. */
function hasNames(record: Buffer, { channelCount, channelsStart }: RecordHead): boolean {
	if (channelCount > BusRecord.channelsMax) return false;
	let at = channelsStart;
	for (let channel = 0; channel < channelCount; channel++) {
		const next = nextChannelEntry(record, at);
		if (next === at + ChannelEntry.nameOffset || !isUtf8(record.subarray(at + ChannelEntry.nameOffset, next))) return false;
		at = next;
	}
	return true;
}

/** `[[channel, {offset, epoch}], …]` */
function isNotice(payload: Buffer): boolean {
	let list: unknown;
	try {
		list = JSON.parse(payload.toString());
	} catch {
		return false;
	}
	return Array.isArray(list) && list.length <= noticedMax && list.every(isNoticed);
}

function isNoticed(entry: unknown): boolean {
	if (!Array.isArray(entry)) return false;
	const [channel, position] = entry as readonly unknown[];
	if (typeof channel !== "string" || channel === "" || Buffer.byteLength(channel) > BusRecord.channelNameBytesMax) return false;
	const { offset, epoch } = (position ?? {}) as Readonly<Record<string, unknown>>;
	return Number.isSafeInteger(offset) && (offset as number) > 0 && typeof epoch === "string" && epochParts(epoch) !== null;
}
