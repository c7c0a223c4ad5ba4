import * as zlib from "node:zlib";
import { decompress as zstdDecompress } from "fzstd";
import { decompressFrameSync } from "lz4-napi";
import { uncompressSync } from "snappy";
import { type Frame, gzipBytes, lz4Frames, snappyBytes, zstdFrames } from "./declared-size.ts";

/** Kafka's numbers of compression codecs. */
export const Codec = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 } as const;

/** Most bytes that a batch may expand to. Far above any normal batch: brokers accept 1 MiB by default. */
export const uncompressedBytesMax: number = 128 * 1024 * 1024;

/** Node has zstd since 22.15. It is several times as fast as the one in JavaScript. */
const nativeZstd = (zlib as { zstdDecompressSync?: (bytes: Buffer, options: object) => Buffer }).zstdDecompressSync;

/** Java's snappy framing: magic, version, lowest compatible version, then blocks of length i32 and bytes. */
const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const xerialHeaderBytes = 16;

/** Call before allocating output. @throws RangeError for more than `uncompressedBytesMax`. */
function check(bytes: number): void {
	if (bytes > uncompressedBytesMax) throw new RangeError(`it expands to ${bytes} bytes; at most ${uncompressedBytesMax} are allowed`);
}

function unsnappy(bytes: Buffer): Buffer {
	if (!bytes.subarray(0, xerialMagic.length).equals(xerialMagic)) {
		check(snappyBytes(bytes));
		return uncompressSync(bytes) as Buffer;
	}
	const blocks: Buffer[] = [];
	let total = 0;
	for (let at = xerialHeaderBytes; at < bytes.length; ) {
		const length = bytes.readInt32BE(at);
		at += 4;
		if (length <= 0 || at + length > bytes.length) throw new RangeError(`a snappy block of ${length} bytes in ${bytes.length - at}`);
		const block = bytes.subarray(at, at + length);
		total += snappyBytes(block);
		blocks.push(block);
		at += length;
	}
	check(total);
	return Buffer.concat(
		blocks.map((block) => uncompressSync(block) as Buffer),
		total,
	);
}

/** Decodes each frame separately: given several, lz4-napi and Node's zstd stop after the first, without an error. */
function eachFrame(bytes: Buffer, frames: readonly Frame[], decode: (frame: Buffer) => Buffer): Buffer {
	check(frames.reduce((sum, frame) => sum + frame.bytes, 0));
	const plain = frames.map(({ start, end }) => decode(bytes.subarray(start, end)));
	return plain.length === 1 ? plain[0]! : Buffer.concat(plain);
}

function unzstd(frame: Buffer): Buffer {
	if (nativeZstd !== undefined) return nativeZstd(frame, { maxOutputLength: uncompressedBytesMax });
	const plain = zstdDecompress(frame);
	return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
}

/**
 * Uncompresses the records of a batch. Synchronous: the ingest worker has nothing else to do meanwhile.
 * @throws for bytes that are not valid for the codec, and for more than `uncompressedBytesMax` of output.
 */
export function uncompress(codec: number, bytes: Buffer): Buffer {
	switch (codec) {
		case Codec.gzip:
			check(gzipBytes(bytes));
			return zlib.gunzipSync(bytes, { maxOutputLength: uncompressedBytesMax });
		case Codec.snappy:
			return unsnappy(bytes);
		case Codec.lz4:
			return eachFrame(bytes, lz4Frames(bytes), decompressFrameSync);
		case Codec.zstd:
			return eachFrame(bytes, zstdFrames(bytes), unzstd);
		default:
			throw new RangeError(`unknown compression codec ${codec}`);
	}
}
