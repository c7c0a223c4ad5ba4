import { channelHash } from "./channel-hash.ts";

/**
 * One event as it lies in a ring: the bus between processes and the ingest ring between threads carry the same bytes.
 *
 * ```
 *  0        1        2                4                8               12                16
 *  +--------+--------+----------------+----------------+----------------+-----------------+
 *  | kind   |channels| channel bytes  | sender id      | payload bytes  | sender's shard  |
 *  | u8     | u8     | u16 LE         | u32 LE         | u32 LE         | u32 LE          |
 *  +--------+--------+----------------+----------------+----------------+-----------------+
 *  16: published, f64 LE
 *  24: channel entries, each  hash u32 LE | length u8 | name, UTF-8   (back to back, `channel bytes` in all)
 *  24 + channel bytes: payload
 * ```
 * Little-endian throughout; entries are unaligned, so they are read through a DataView. Zero channels = to everybody.
 * `sender id` is the connection's number within the publishing member (0 = nobody to leave out). A message that went through
 * Kafka is put on the bus by another member than its sender's: `sender's shard` then says whose number it is (`shardLife`), and is
 * 0 otherwise.
 * `published` is CLOCK_MONOTONIC in milliseconds (`performance.timeOrigin`-free, see `monotonicMs`), the same in every
 * process of the machine, so a reader can tell how long the event has waited.
 */
export const BusRecord = {
	kindOffset: 0,
	channelCountOffset: 1,
	channelBytesOffset: 2,
	senderOffset: 4,
	payloadBytesOffset: 8,
	senderShardOffset: 12,
	publishedOffset: 16,
	headerBytes: 24,
	/** Longest channel name in UTF-8 bytes. */
	channelNameBytesMax: 255,
	/** Most channels of one event. */
	channelsMax: 32,
} as const;

export const RecordKind = { text: 1, binary: 2 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

const encoder = new TextEncoder();

/** The channel part of a record, made once per client or request and then only copied. */
export interface ChannelList {
	readonly count: number;
	readonly bytes: Uint8Array;
	readonly names: readonly string[];
}

export const everybody: ChannelList = { count: 0, bytes: new Uint8Array(0), names: [] };

/** @throws RangeError that names the channel when a name is empty or longer than 255 bytes, or there are more than 32. */
export function channelList(names: readonly string[]): ChannelList {
	if (names.length === 0) return everybody;
	const unique = [...new Set(names)];
	if (unique.length > BusRecord.channelsMax) throw new RangeError(`${unique.length} channels; the most is ${BusRecord.channelsMax}`);
	const encoded = unique.map((name) => {
		const bytes = encoder.encode(name);
		if (bytes.length === 0) throw new RangeError("a channel name is empty");
		if (bytes.length > BusRecord.channelNameBytesMax)
			throw new RangeError(`channel "${name.slice(0, 40)}…" is ${bytes.length} bytes; the most is ${BusRecord.channelNameBytesMax}`);
		return bytes;
	});
	const bytes = new Uint8Array(encoded.reduce((sum, name) => sum + 5 + name.length, 0));
	const view = new DataView(bytes.buffer);
	let at = 0;
	for (const name of encoded) {
		view.setUint32(at, channelHash(name), true);
		bytes[at + 4] = name.length;
		bytes.set(name, at + 5);
		at += 5 + name.length;
	}
	return { count: unique.length, bytes, names: unique };
}

/** Bytes that a record takes, before the ring's own header and padding. */
export function recordBytes(channels: ChannelList, payloadBytes: number): number {
	return BusRecord.headerBytes + channels.bytes.length + payloadBytes;
}

/**
 * Writes all but the payload at `at` and returns where the payload goes. The caller has claimed
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
	payloadBytes: number,
): number {
	view.setUint8(at, kind);
	view.setUint8(at + BusRecord.channelCountOffset, channels.count);
	view.setUint16(at + BusRecord.channelBytesOffset, channels.bytes.length, true);
	view.setUint32(at + BusRecord.senderOffset, sender, true);
	view.setUint32(at + BusRecord.payloadBytesOffset, payloadBytes, true);
	view.setUint32(at + BusRecord.senderShardOffset, 0, true);
	view.setFloat64(at + BusRecord.publishedOffset, publishedMs, true);
	const body = at + BusRecord.headerBytes;
	if (channels.bytes.length > 0) u8.set(channels.bytes, body);
	return body + channels.bytes.length;
}

/** A shard in one of its lives, never 0: connections are numbered anew in each. */
export function shardLife(slot: number, incarnation: number): number {
	return (((slot + 1) << 16) | (incarnation & 0xffff)) >>> 0;
}

/** Says whose connection the sender of the record at `at` is, when it is not the publishing member's own. */
export function setSenderShard(view: DataView, at: number, life: number): void {
	view.setUint32(at + BusRecord.senderShardOffset, life, true);
}

/**
 * What to add to this thread's `performance.now()` to get CLOCK_MONOTONIC. The clocks are read as `now`, `hrtime`, `now`, several times, and
 * the closest pair is taken: a thread that is preempted between two reads would be wrong by that time for the rest of its life.
 */
function measureMonotonicOffsetMs(): number {
	let closestMs = Number.POSITIVE_INFINITY;
	let offsetMs = 0;
	for (let attempt = 0; attempt < 16; attempt++) {
		const beforeMs = performance.now();
		const monotonicMs = Number(process.hrtime.bigint()) / 1e6;
		const afterMs = performance.now();
		if (afterMs - beforeMs >= closestMs) continue;
		closestMs = afterMs - beforeMs;
		offsetMs = monotonicMs - (beforeMs + afterMs) / 2;
	}
	return offsetMs;
}

// Measured once: hrtime.bigint() allocates, performance.now() does not.
const monotonicOffsetMs = measureMonotonicOffsetMs();

/** CLOCK_MONOTONIC in milliseconds, comparable between all processes and threads of this machine (unlike `performance.now()`). */
export function monotonicMs(): number {
	return performance.now() + monotonicOffsetMs;
}
