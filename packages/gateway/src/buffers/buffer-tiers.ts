/** One size of buffer. */
export interface TierSize {
	/** Payload bytes that a buffer takes. */
	readonly bytes: number;
	/** How many buffers there may be, if the memory has room for them. */
	readonly buffersMax: number;
}

const kibibyte = 2 ** 10;

/** As many buffers as the memory of the pool has room for. */
const byMemory = Number.POSITIVE_INFINITY;

/**
 * From small to large. What bounds them is `memoryBytesMax` of the pool, for all tiers together. The smallest buffers have a count as well, since the
 * objects of one take about as much memory as itself.
 *
 * From 4 to 256 KiB each size is twice the one before it: a frame of more than 4 KiB that waits for each of a thousand clients takes at most twice its
 * bytes.
 */
export const bufferTiers: readonly TierSize[] = [
	{ bytes: 512, buffersMax: 65_536 },
	...[4, 8, 16, 32, 64, 128, 256, 1024, 8192].map((kibibytes) => ({ bytes: kibibytes * kibibyte, buffersMax: byMemory })),
];

export const BufferLimits = {
	memoryBytesMaxDefault: 256 * 2 ** 20,
	/** A frame that comes in pieces has a buffer of at most this size until more has come. */
	partBytesMin: 256 * kibibyte,
	/** Memory is taken in pieces of about this size, or of one buffer where that is larger. */
	slabBytes: 64 * kibibyte,
	/** Cached views over all buffers, 150 bytes each. */
	viewsMax: 65_536,
	/** In larger buffers only the latest view is kept: making another costs little against copying that many bytes. */
	viewedBytesMax: 4 * kibibyte,
} as const;
