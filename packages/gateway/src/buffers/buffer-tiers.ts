/** One size of buffer. */
export interface TierSize {
	/** Payload bytes that a buffer takes. */
	readonly bytes: number;
	/** How many buffers there may be. */
	readonly buffersMax: number;
}

const kibibyte = 2 ** 10;

/** From small to large. Counts are limits: memory is taken when it is needed, and `memoryBytesMax` of the pool bounds all tiers together. */
export const bufferTiers: readonly TierSize[] = [
	{ bytes: 512, buffersMax: 16_384 },
	{ bytes: 4 * kibibyte, buffersMax: 1024 },
	{ bytes: 32 * kibibyte, buffersMax: 512 },
	{ bytes: 256 * kibibyte, buffersMax: 256 },
	{ bytes: 1024 * kibibyte, buffersMax: 256 },
	{ bytes: 8192 * kibibyte, buffersMax: 128 },
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
