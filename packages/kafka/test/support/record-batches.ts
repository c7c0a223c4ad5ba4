import { RecordBatchLayout } from "../../src/protocol/record-batch-descriptor.ts";

/** A length or delta up to 8191, zigzag. */
function varint(value: number): Buffer {
	const zigzag = value * 2;
	return Buffer.from(zigzag < 0x80 ? [zigzag] : [(zigzag & 0x7f) | 0x80, zigzag >> 7]);
}

/** A batch of records without keys and headers, as the leader of that epoch would have written it. */
export function batchOf(baseOffset: number, values: readonly string[], { epoch = 0, timestampMs = 0 } = {}): Buffer {
	const records = values.map((value, delta) => {
		const bytes = Buffer.from(value);
		// Attributes, time delta, offset delta, no key, value, no headers.
		const body = Buffer.concat([Buffer.from([0, 0]), varint(delta), Buffer.from([1]), varint(bytes.length), bytes, Buffer.from([0])]);
		return Buffer.concat([varint(body.length), body]);
	});
	const body = Buffer.concat(records);
	const layout = RecordBatchLayout;
	const head = Buffer.alloc(layout.headerBytes);
	head.writeBigInt64BE(BigInt(baseOffset), layout.baseOffset);
	head.writeInt32BE(head.length - layout.logOverheadBytes + body.length, layout.lengthOffset);
	head.writeInt32BE(epoch, layout.leaderEpochOffset);
	head[layout.magicOffset] = layout.magic;
	head.writeInt32BE(values.length - 1, layout.lastOffsetDeltaOffset);
	head.writeBigInt64BE(BigInt(timestampMs), layout.baseTimestampOffset);
	head.writeBigInt64BE(BigInt(timestampMs), layout.maxTimestampOffset);
	head.writeInt32BE(values.length, layout.recordCountOffset);
	return Buffer.concat([head, body]);
}
