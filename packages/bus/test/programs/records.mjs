// Records whose length and bytes follow from who wrote them and when, so that a reader can check every byte.
//
//   0 origin u32 | 4 incarnation u32 | 8 sequence u32 | 12 random words … | random bytes

const headBytes = 12;

/** xorshift32: the next of a row of numbers, never 0 for a seed that is not 0. */
export function next(random) {
	random ^= random << 13;
	random ^= random >>> 17;
	return random ^ (random << 5);
}

function start(seed, origin, incarnation, sequence) {
	const mixed = Math.imul(seed ^ Math.imul(origin + 1, 0x9e3779b1) ^ Math.imul(incarnation + 1, 0x85ebca6b) ^ sequence, 0xc2b2ae35);
	return next(mixed ^ (mixed >>> 15)) | 1;
}

/** Mostly short, as events are; one in 64 of any length up to the longest. */
export function recordBytes(seed, origin, incarnation, sequence, bytesMax) {
	const random = start(seed, origin, incarnation, sequence);
	const span = (random & 63) === 0 ? bytesMax - headBytes : 180;
	return headBytes + ((random >>> 7) % (span + 1));
}

export function writeRecord(view, at, bytes, seed, origin, incarnation, sequence) {
	view.setUint32(at, origin, true);
	view.setUint32(at + 4, incarnation, true);
	view.setUint32(at + 8, sequence, true);
	let random = start(seed, origin, incarnation, sequence);
	const end = at + bytes;
	let to = at + headBytes;
	for (; to + 4 <= end; to += 4) {
		random = next(random);
		view.setInt32(to, random, true);
	}
	for (; to < end; to++) {
		random = next(random);
		view.setUint8(to, random & 255);
	}
}

/** Null when every byte is as written, else what is wrong. */
export function checkRecord(view, at, end, seed, origin, bytesMax) {
	if (end - at < headBytes) return `a record of ${end - at} bytes`;
	if (view.getUint32(at, true) !== origin) return `origin ${view.getUint32(at, true)} in the ring of ${origin}`;
	const incarnation = view.getUint32(at + 4, true);
	const sequence = view.getUint32(at + 8, true);
	const bytes = recordBytes(seed, origin, incarnation, sequence, bytesMax);
	if (end - at !== bytes) return `record ${incarnation}.${sequence} of ${origin} is ${end - at} bytes long instead of ${bytes}`;
	let random = start(seed, origin, incarnation, sequence);
	let from = at + headBytes;
	for (; from + 4 <= end; from += 4) {
		random = next(random);
		if (view.getInt32(from, true) !== random) return `record ${incarnation}.${sequence} of ${origin}, byte ${from - at}`;
	}
	for (; from < end; from++) {
		random = next(random);
		if (view.getUint8(from) !== (random & 255)) return `record ${incarnation}.${sequence} of ${origin}, byte ${from - at}`;
	}
	return null;
}
