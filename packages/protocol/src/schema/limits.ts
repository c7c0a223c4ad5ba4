/** Messages within messages that the decoders follow: a tag filter needs some levels, nothing else needs more than three. */
export const nestingMax = 32;

/** The integers that a field of each type can hold. Above 2^53 - 1 JavaScript could not tell neighbours apart: such numbers do not fit. */
export const integerRange = {
	uint32: [0, 0xffff_ffff],
	int32: [-0x8000_0000, 0x7fff_ffff],
	uint64: [0, Number.MAX_SAFE_INTEGER],
	int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
} as const;
