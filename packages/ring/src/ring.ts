import { dataOffset, RingLayout } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

/**
 * A mapped ring: the views and numbers that writer and readers need. It has no state, so any number of threads and processes may map the
 * same bytes.
 */
export interface Ring {
	readonly capacityBytes: number;
	readonly readersMax: number;
	/** Longest payload of one record: an eighth of the capacity. */
	readonly recordBytesMax: number;
	/** Start of the readers' lines in `u8`. */
	readonly readersOffset: number;
	/** Start of the data in `u8`. */
	readonly dataOffset: number;
	/** The whole ring. Offsets of `claim` and `visit` refer to it. */
	readonly u8: Uint8Array;
	/** The same bytes. */
	readonly view: DataView;
	/** The same bytes as i32 words, for Atomics. */
	readonly words: Int32Array;
	/** The same bytes as f64 counters. Stores to an element are never torn, unlike those through a DataView. */
	readonly counters: Float64Array;
}

interface RingOptions {
	/** A power of two, 64 bytes to 1 GiB. */
	readonly capacityBytes: number;
	/** Reader slots, 1 to 256. */
	readonly readersMax: number;
	/** Start of the ring in the buffer: a multiple of 8, 0 by default. */
	readonly byteOffset?: number;
	/** Position of the first record, 0 by default. Tests start just below 2^31 to test wrapping. */
	readonly startPosition?: number;
}

/** Bytes to allocate for a ring. */
export function ringBytes(capacityBytes: number, readersMax: number): number {
	checkSizes(capacityBytes, readersMax, RingErrorCode.badArgument);
	return dataOffset(readersMax) + capacityBytes;
}

/** Formats the bytes as an empty ring without readers. No other process may use them yet. */
export function createRing(buffer: ArrayBufferLike, options: RingOptions): Ring {
	const { capacityBytes, readersMax, byteOffset = 0, startPosition = 0 } = options;
	const bytes = ringBytes(capacityBytes, readersMax);
	checkRoom(buffer, byteOffset, bytes, RingErrorCode.badArgument);
	const offsets = { readersOffset: RingLayout.readersOffset, dataOffset: dataOffset(readersMax) };
	const ring = mapRing(buffer, byteOffset, { capacityBytes, readersMax, ...offsets });
	ring.u8.fill(0, 0, ring.dataOffset);
	ring.words[RingLayout.versionOffset >> 2] = (RingLayout.version.major << 16) | RingLayout.version.minor;
	ring.words[RingLayout.capacityOffset >> 2] = capacityBytes;
	ring.words[RingLayout.readersMaxOffset >> 2] = readersMax;
	ring.words[RingLayout.readersOffsetOffset >> 2] = ring.readersOffset;
	ring.words[RingLayout.dataOffsetOffset >> 2] = ring.dataOffset;
	Atomics.store(ring.words, RingLayout.tailOffset >> 2, startPosition | 0);
	// The magic number is stored last: a process that attaches too early finds no ring instead of an incomplete one.
	Atomics.store(ring.words, RingLayout.magicOffset >> 2, RingLayout.magic);
	return ring;
}

/**
 * Maps a ring that was formatted before, perhaps by a program of another minor version.
 * @throws RingError with a description of what the bytes contain instead.
 */
export function attachRing(buffer: ArrayBufferLike, byteOffset = 0): Ring {
	checkRoom(buffer, byteOffset, RingLayout.readersOffset, RingErrorCode.notARing);
	const words = new Int32Array(buffer, byteOffset, RingLayout.readersOffset >> 2);
	const magic = Atomics.load(words, RingLayout.magicOffset >> 2);
	if (magic !== RingLayout.magic)
		throw new RingError(
			RingErrorCode.notARing,
			`no ring here (magic 0x${(magic >>> 0).toString(16)} instead of 0x${RingLayout.magic.toString(16)})`,
			"map the file that createRing has formatted, after it has finished",
		);
	const version = words[RingLayout.versionOffset >> 2]!;
	if (version >>> 16 !== RingLayout.version.major)
		throw new RingError(
			RingErrorCode.notARing,
			`the ring has layout version ${version >>> 16}.${version & 0xffff}, and this program uses ${RingLayout.version.major}.x`,
			"these programs can't share a cluster: stop all its processes and start it again",
		);
	const capacityBytes = words[RingLayout.capacityOffset >> 2]!;
	const readersMax = words[RingLayout.readersMaxOffset >> 2]!;
	const readersOffset = words[RingLayout.readersOffsetOffset >> 2]!;
	const dataAt = words[RingLayout.dataOffsetOffset >> 2]!;
	// Checked before anything is computed from them: a damaged header must not lead to views of another size.
	checkSizes(capacityBytes, readersMax, RingErrorCode.notARing);
	const inOrder = readersOffset >= RingLayout.readersOffset && dataAt >= readersOffset + readersMax * RingLayout.lineBytes;
	if (!inOrder || readersOffset % RingLayout.unitBytes !== 0 || dataAt % RingLayout.unitBytes !== 0 || dataAt > RingLayout.dataOffsetMax)
		throw new RingError(
			RingErrorCode.notARing,
			`readers at ${readersOffset} and data at ${dataAt}`,
			"the header is damaged: start the cluster again",
		);
	checkRoom(buffer, byteOffset, dataAt + capacityBytes, RingErrorCode.notARing);
	return mapRing(buffer, byteOffset, { capacityBytes, readersMax, readersOffset, dataOffset: dataAt });
}

type Geometry = Pick<Ring, "capacityBytes" | "readersMax" | "readersOffset" | "dataOffset">;

function mapRing(buffer: ArrayBufferLike, byteOffset: number, geometry: Geometry): Ring {
	const bytes = geometry.dataOffset + geometry.capacityBytes;
	return {
		...geometry,
		recordBytesMax: geometry.capacityBytes / RingLayout.recordsPerCapacityMin,
		u8: new Uint8Array(buffer, byteOffset, bytes),
		view: new DataView(buffer, byteOffset, bytes),
		words: new Int32Array(buffer, byteOffset, bytes >> 2),
		counters: new Float64Array(buffer, byteOffset, bytes >> 3),
	};
}

function checkSizes(capacityBytes: number, readersMax: number, code: RingErrorCode): void {
	const { capacityBytesMin, capacityBytesMax, readersMaxMax } = RingLayout;
	const powerOfTwo = Number.isInteger(capacityBytes) && (capacityBytes & (capacityBytes - 1)) === 0;
	if (!powerOfTwo || capacityBytes < capacityBytesMin || capacityBytes > capacityBytesMax)
		throw new RingError(
			code,
			`a ring of ${capacityBytes} bytes`,
			`the capacity is a power of two from ${capacityBytesMin} to ${capacityBytesMax}`,
		);
	if (!Number.isInteger(readersMax) || readersMax < 1 || readersMax > readersMaxMax)
		throw new RingError(code, `a ring for ${readersMax} readers`, `it can have 1 to ${readersMaxMax}`);
}

function checkRoom(buffer: ArrayBufferLike, byteOffset: number, bytes: number, code: RingErrorCode): void {
	if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset % RingLayout.unitBytes !== 0)
		throw new RingError(RingErrorCode.badArgument, `a ring at byte ${byteOffset}`, `it begins at a multiple of ${RingLayout.unitBytes}`);
	if (buffer.byteLength - byteOffset < bytes)
		throw new RingError(
			code,
			`${buffer.byteLength - byteOffset} bytes of memory for a ring that takes ${bytes}`,
			"allocate ringBytes(capacityBytes, readersMax)",
		);
}
