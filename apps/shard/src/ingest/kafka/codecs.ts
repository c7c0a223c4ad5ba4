import * as zlib from "node:zlib";
import { decompress as zstdDecompress } from "fzstd";
import { decompressFrameSync } from "lz4-napi";
import { uncompressSync } from "snappy";

/** Kafka's numbers for how a batch is compressed. */
export const Codec = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** No honest batch grows beyond this; a broker takes batches of 1 MB unless it is told otherwise. */
const uncompressedBytesMax = 256 * 1024 * 1024;

/** Node has zstd of its own from 22.15 on, several times as fast as the one in JavaScript. */
const nativeZstd = (zlib as { zstdDecompressSync?: (bytes: Buffer, options: object) => Buffer }).zstdDecompressSync;

/** Java's snappy streams: magic, version, lowest version that can read it, then blocks of length i32 and bytes. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderBytes = 16;

function unsnappy(bytes: Buffer): Buffer {
	if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) return uncompressSync(bytes) as Buffer;
	const blocks: Buffer[] = [];
	let total = 0;
	for (let at = xerialHeaderBytes; at < bytes.length; ) {
		const length = bytes.readInt32BE(at);
		at += 4;
		const block = uncompressSync(bytes.subarray(at, at + length)) as Buffer;
		total += block.length;
		if (total > uncompressedBytesMax) throw new RangeError(`a batch of more than ${uncompressedBytesMax} bytes`);
		blocks.push(block);
		at += length;
	}
	return Buffer.concat(blocks, total);
}

function unzstd(bytes: Buffer): Buffer {
	if (nativeZstd !== undefined) return nativeZstd(bytes, { maxOutputLength: uncompressedBytesMax });
	const plain = zstdDecompress(bytes);
	return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
}

/** The records of a compressed batch. Synchronous: it runs on the ingest worker, which has nothing else to do meanwhile. */
export function uncompress(codec: number, bytes: Buffer): Buffer {
	switch (codec) {
		case Codec.gzip:
			return zlib.gunzipSync(bytes, { maxOutputLength: uncompressedBytesMax });
		case Codec.snappy:
			return unsnappy(bytes);
		case Codec.lz4:
			return decompressFrameSync(bytes);
		case Codec.zstd:
			return unzstd(bytes);
		default:
			throw new RangeError(`compression codec ${codec} is not known`);
	}
}
