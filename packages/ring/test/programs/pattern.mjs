/**
 * What test records hold: sequence number `n` in the first word, then words that follow from it and from the seed, so that
 * a reader can tell for every byte whether it is the right one. Sizes follow from them as well.
 */
export function mix(seed, n) {
	let x = (seed ^ Math.imul(n + 1, 0x9e3779b1)) | 0;
	x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
	x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
	return x ^ (x >>> 15);
}

/** 4 … bytesMax; one record in 16 may be long, the others are short, as messages are. */
export function sizeOf(seed, n, bytesMax) {
	const random = mix(~seed, n) >>> 0;
	const most = (random & 15) === 0 ? bytesMax : Math.min(bytesMax, 160);
	return 4 + ((random >>> 4) % (most - 3));
}

/** `at` is a multiple of 4. */
export function fillRecord(words, u8, at, bytes, seed, n) {
	words[at >> 2] = n;
	const end = at + bytes;
	const wordsEnd = end >> 2;
	let value = mix(seed, n);
	for (let word = (at >> 2) + 1; word < wordsEnd; word++) {
		words[word] = value;
		value = (value + 0x6d2b79f5) | 0;
	}
	for (let byte = Math.max(wordsEnd << 2, at + 4); byte < end; byte++) u8[byte] = value >>> ((byte & 3) * 8);
}

/** The sequence number, or an Error that says which byte is wrong. */
export function checkRecord(words, u8, start, end, seed, bytesMax) {
	const n = words[start >> 2];
	if (end - start !== sizeOf(seed, n, bytesMax)) return new Error(`record ${n} has ${end - start} bytes, not ${sizeOf(seed, n, bytesMax)}`);
	const wordsEnd = end >> 2;
	let value = mix(seed, n);
	for (let word = (start >> 2) + 1; word < wordsEnd; word++) {
		if (words[word] !== value) return new Error(`record ${n}: word ${word - (start >> 2)} is ${words[word]}, not ${value}`);
		value = (value + 0x6d2b79f5) | 0;
	}
	for (let byte = Math.max(wordsEnd << 2, start + 4); byte < end; byte++)
		if (u8[byte] !== ((value >>> ((byte & 3) * 8)) & 255)) return new Error(`record ${n}: byte ${byte - start} is ${u8[byte]}`);
	return n;
}

/** The sequence number that ends a test. */
export const endNumber = -1;

/** Writer number `incarnation` numbers its records from here. */
export function firstNumber(incarnation) {
	return incarnation << 22;
}

/** i32 words that the threads of a test share beside the ring. */
export const Control = {
	/** Set to 1 by the test: stop writing, or stop joining. */
	stop: 0,
	/** Records that the writer knows it has published. */
	acknowledged: 1,
	/** First and last record that a reader has been shown, plus 1; 0 = none. */
	firstSeen: 2,
	lastSeen: 3,
};
