import { BusRecord, RecordType } from "@shardcast/wire";

/**
 * Layout of the records in which the processes of a gateway talk to each other over the bus. The head is that of all bus records (`BusRecord`), with
 * no channels and no extensions. Little-endian.
 *
 * ```
 *  0        1        2        3        4                8                12               16               20               24
 *  +--------+--------+--------+--------+----------------+----------------+----------------+----------------+----------------+-------
 *  | type   | step   | target | 0      | 0              | stream         | origin's       | target's       | amount         | bytes
 *  | = 13   | u8     | u8     |        |                | u32            | incarnation u32| incarnation u32| u32            |
 *  +--------+--------+--------+--------+----------------+----------------+----------------+----------------+----------------+-------
 * ```
 * `step` is a `StreamStep`, and `fromOpener` more if the record is from the process that opened the stream: both ends number the streams that they
 * open. `target` is a slot + 1, or 0 for all, which only `hello` may have. `amount`: for `open` the backend, for `credit` bytes.
 */
export const StreamRecord = {
	stepOffset: BusRecord.kindOffset,
	targetOffset: BusRecord.targetOffset,
	streamOffset: BusRecord.senderOffset,
	originOffset: BusRecord.senderShardOffset,
	incarnationOffset: BusRecord.publishedOffset,
	amountOffset: BusRecord.publishedOffset + 4,
	headBytes: BusRecord.headerBytes,
	/** Most bytes in one record. */
	dataBytesMax: 32 * 1024,
	fromOpener: 0x80,
} as const;

export const StreamStep = {
	/** A process is there, or answers that it is. */
	hello: 1,
	/** Opens a channel: the streams with this number, which is even, and the next one. */
	open: 2,
	/** The next bytes of a stream. */
	data: 3,
	/** So many bytes of the other way have been taken. */
	credit: 4,
	/** The last of a stream: nothing more comes, and nothing more is taken. */
	end: 5,
	/** The stream is broken, or was not accepted. */
	reset: 6,
} as const;
export type StreamStep = (typeof StreamStep)[keyof typeof StreamStep];

/** A decoded head. One is filled again and again. */
export interface StreamHead {
	step: number;
	/** Slot; -1 = all. */
	target: number;
	fromOpener: boolean;
	stream: number;
	originIncarnation: number;
	targetIncarnation: number;
	amount: number;
}

export function createStreamHead(): StreamHead {
	return { step: 0, target: -1, fromOpener: false, stream: 0, originIncarnation: 0, targetIncarnation: 0, amount: 0 };
}

/** Writes a head. @returns the offset of the bytes. */
export function writeStreamHead(view: DataView, at: number, head: Readonly<StreamHead>): number {
	view.setUint8(at + BusRecord.typeOffset, RecordType.gateway);
	view.setUint8(at + StreamRecord.stepOffset, head.step | (head.fromOpener ? StreamRecord.fromOpener : 0));
	view.setUint8(at + StreamRecord.targetOffset, head.target + 1);
	view.setUint8(at + BusRecord.channelCountOffset, 0);
	view.setUint32(at + BusRecord.channelBytesOffset, 0, true);
	view.setUint32(at + StreamRecord.streamOffset, head.stream, true);
	view.setUint32(at + StreamRecord.originOffset, head.originIncarnation, true);
	view.setUint32(at + StreamRecord.incarnationOffset, head.targetIncarnation, true);
	view.setUint32(at + StreamRecord.amountOffset, head.amount, true);
	return at + StreamRecord.headBytes;
}

/** Reads the head of the record in `start … end`. @returns false if it is no record of a gateway. */
export function readStreamHead(view: DataView, start: number, end: number, head: StreamHead): boolean {
	if (end - start < StreamRecord.headBytes || view.getUint8(start + BusRecord.typeOffset) !== RecordType.gateway) return false;
	const step = view.getUint8(start + StreamRecord.stepOffset);
	head.fromOpener = (step & StreamRecord.fromOpener) !== 0;
	head.step = step & ~StreamRecord.fromOpener;
	head.target = view.getUint8(start + StreamRecord.targetOffset) - 1;
	head.stream = view.getUint32(start + StreamRecord.streamOffset, true);
	head.originIncarnation = view.getUint32(start + StreamRecord.originOffset, true);
	head.targetIncarnation = view.getUint32(start + StreamRecord.incarnationOffset, true);
	head.amount = view.getUint32(start + StreamRecord.amountOffset, true);
	return true;
}
