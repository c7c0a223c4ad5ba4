/**
 * Upper bounds on the size of uncompressed batches, read from headers only: nothing is allocated or uncompressed. All functions
 * throw a RangeError for truncated bytes or another format. Cost: one step per block, which in a normal batch is at least 64 KB of
 * output.
 */

/** Reads the last four bytes of a single gzip stream. If they are wrong, uncompressing stops at that size. */
export function gzipBytes(bytes: Buffer): number {
	return bytes.readUInt32LE(bytes.length - 4);
}

/** A raw snappy block starts with its uncompressed length, a varint of 32 bits. */
export function snappyBytes(block: Buffer): number {
	let length = 0;
	for (let at = 0; at < 5; at++) {
		const byte = block.readUInt8(at);
		length += (byte & 0x7f) * 2 ** (7 * at);
		if (byte <= 0x7f) return length;
	}
	throw new RangeError("a snappy block without a length");
}

/** A separately compressed part. */
export interface Frame {
	readonly start: number;
	readonly end: number;
	/** Upper bound on its uncompressed bytes. */
	readonly bytes: number;
}

const skippableFrame = 0x184d2a5;

/** All frames but those to skip, which both formats have. @param read reads the frame that starts there. */
function framesOf(bytes: Buffer, magic: number, name: string, read: (start: number) => Frame): readonly Frame[] {
	const frames: Frame[] = [];
	for (let at = 0; at < bytes.length; ) {
		const found = bytes.readUInt32LE(at);
		if (found >>> 4 === skippableFrame) {
			at += 8 + bytes.readUInt32LE(at + 4);
			continue;
		}
		if (found !== magic) throw new RangeError(`not ${name} frame`);
		const frame = read(at);
		frames.push(frame);
		at = frame.end;
	}
	return frames;
}

const Lz4 = {
	magic: 0x184d2204,
	flag: { blockChecksum: 0x10, contentSize: 0x08, contentChecksum: 0x04, dictionary: 0x01 },
	uncompressed: 0x8000_0000,
	/** Most output bytes per byte of compressed input. */
	ratioMax: 255,
} as const;

/** The frames of lz4 data. Each block expands to at most the frame's block size. */
export function lz4Frames(bytes: Buffer): readonly Frame[] {
	const { flag } = Lz4;
	return framesOf(bytes, Lz4.magic, "an lz4", (start) => {
		let at = start;
		let ofBlocks = 0;
		const flags = bytes.readUInt8(at + 4);
		const sizeId = (bytes.readUInt8(at + 5) >> 4) & 7;
		if (sizeId < 4) throw new RangeError("an lz4 frame without a block size");
		const blockBytesMax = 2 ** (8 + 2 * sizeId);
		at += 7 + (flags & flag.contentSize ? 8 : 0) + (flags & flag.dictionary ? 4 : 0);
		for (;;) {
			const word = bytes.readUInt32LE(at);
			at += 4;
			if (word === 0) break;
			const length = word % Lz4.uncompressed;
			ofBlocks += Math.min(blockBytesMax, word >= Lz4.uncompressed ? length : length * Lz4.ratioMax);
			at += length + (flags & flag.blockChecksum ? 4 : 0);
		}
		if (flags & flag.contentChecksum) at += 4;
		return { start, end: at, bytes: ofBlocks };
	});
}

const Zstd = {
	magic: 0xfd2fb528,
	flag: { singleSegment: 0x20, contentChecksum: 0x04, dictionaryMask: 0x03 },
	dictionaryBytes: [0, 1, 2, 4],
	contentSizeBytes: [0, 2, 4, 8],
	block: { raw: 0, repeated: 1, compressed: 2 },
	blockBytesMax: 128 * 1024,
} as const;

/** The frames of zstd data. The bound is the largest of the blocks, the declared size and the window. */
export function zstdFrames(bytes: Buffer): readonly Frame[] {
	const { flag, block } = Zstd;
	return framesOf(bytes, Zstd.magic, "a zstd", (start) => {
		let at = start;
		const flags = bytes.readUInt8(at + 4);
		const single = (flags & flag.singleSegment) !== 0;
		at += 5;
		const window = single ? 0 : windowBytes(bytes.readUInt8(at++));
		at += Zstd.dictionaryBytes[flags & flag.dictionaryMask]!;
		const sizeBytes = Zstd.contentSizeBytes[flags >> 6]! || (single ? 1 : 0);
		const declared = sizeBytes === 0 ? 0 : contentBytes(bytes, at, sizeBytes);
		at += sizeBytes;
		const blockBytesMax = Math.min(Zstd.blockBytesMax, single ? declared : window);
		let ofBlocks = 0;
		for (let last = 0; last === 0; ) {
			const head = bytes.readUIntLE(at, 3);
			at += 3;
			last = head & 1;
			const type = (head >> 1) & 3;
			const length = head >>> 3;
			if (type > block.compressed) throw new RangeError("a zstd block of unknown type");
			ofBlocks += type === block.compressed ? blockBytesMax : length;
			at += type === block.repeated ? 1 : length;
		}
		if (flags & flag.contentChecksum) at += 4;
		// A decoder allocates the declared size or the window, whatever the blocks hold.
		return { start, end: at, bytes: Math.max(ofBlocks, declared, window) };
	});
}

function windowBytes(descriptor: number): number {
	const base = 2 ** (10 + (descriptor >> 3));
	return base + (base / 8) * (descriptor & 7);
}

function contentBytes(bytes: Buffer, at: number, sizeBytes: number): number {
	if (sizeBytes === 8) return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
	return bytes.readUIntLE(at, sizeBytes) + (sizeBytes === 2 ? 256 : 0);
}
