/** How deep the decoders follow nested messages: a tag filter needs some levels, nothing else needs more than three. */
export const nestingMax = 32;

/** The range of each integer type. Numbers above 2^53 - 1 are refused, because JavaScript cannot represent them exactly. */
export const integerRange = {
	uint32: [0, 0xffff_ffff],
	int32: [-0x8000_0000, 0x7fff_ffff],
	uint64: [0, Number.MAX_SAFE_INTEGER],
	int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
} as const;
