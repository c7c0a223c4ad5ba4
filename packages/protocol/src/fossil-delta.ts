/** The shortest match that is worth a copy instruction, which takes up to nine characters. */
const copyMin = 12;
/** The length of the blocks by which matches are found. */
const blockBytes = 8;
/** The most blocks of the source that are indexed; in a longer source, some are skipped. */
const blocksMax = 16_384;

const digits = Buffer.from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
const lineFeed = 0x0a;
const [at, colon, comma, semicolon] = Buffer.from("@:,;") as unknown as readonly [number, number, number, number];

/** Positions of the source's blocks by their hash. Reused for each delta. */
let table = new Int32Array(1024);

/**
 * Encodes the difference between two values in the format of Fossil's deltas, from which clients reconstruct `target`. Null when the delta would
 * not be shorter than the target. Inserted text starts and ends at whole characters, so the delta of two texts is a text.
 *
 * The time is proportional to both lengths, whatever the contents: 4 µs for 400 bytes of JSON with a few changes, 0.3 ms for 54 KiB, and 0.8 ms
 * for 64 KiB that have nothing in common.
 */
export function fossilDelta(source: Uint8Array, target: Uint8Array): Uint8Array | null {
	const delta = new Delta(target);
	delta.number(target.length);
	delta.byte(lineFeed);
	const prefix = wholeBefore(target, commonPrefix(source, target));
	if (prefix >= copyMin) delta.copy(0, prefix, 0);
	const suffix = wholeAfter(target, target.length - commonSuffix(source, target, target.length - delta.done));
	const end = target.length - suffix >= copyMin ? suffix : target.length;
	if (end - delta.done >= copyMin && source.length >= blockBytes) copyBlocks(source, target, end, delta);
	delta.insertUpTo(end);
	if (end < target.length) delta.copy(end, target.length, source.length - (target.length - end));
	delta.number(checksum(target));
	delta.byte(semicolon);
	return delta.bytes;
}

/** Copies every match with the source, from the delta's present position to before `end`. */
function copyBlocks(source: Uint8Array, target: Uint8Array, end: number, delta: Delta): void {
	const mask = index(source);
	let place = delta.done;
	while (place + blockBytes <= end) {
		const found = table[hash(target, place) & mask]!;
		if (found < 0 || !isSame(source, found, target, place)) {
			place++;
			continue;
		}
		let [from, to] = [place, place + blockBytes];
		while (from > delta.done && place - from < found && source[found - (place - from) - 1] === target[from - 1]) from--;
		while (to < end && found + (to - place) < source.length && source[found + (to - place)] === target[to]) to++;
		const next = to;
		from = wholeAfter(target, from);
		to = wholeBefore(target, to);
		if (to - from < copyMin) {
			place++;
			continue;
		}
		delta.insertUpTo(from);
		delta.copy(from, to, found - (place - from));
		place = Math.min(next, to);
	}
}

/** Indexes the blocks of the source. Returns the mask of their hashes. */
function index(source: Uint8Array): number {
	const step = Math.max(blockBytes, Math.ceil(source.length / blocksMax));
	const wanted = 2 ** Math.ceil(Math.log2((2 * source.length) / step + 2));
	if (table.length < wanted) table = new Int32Array(wanted);
	table.fill(-1, 0, wanted);
	const mask = wanted - 1;
	for (let place = 0; place + blockBytes <= source.length; place += step) {
		const slot = hash(source, place) & mask;
		// Keeps the first of equal blocks, where the longest copy of a repetition starts.
		if (table[slot]! < 0) table[slot] = place;
	}
	return mask;
}

function hash(bytes: Uint8Array, place: number): number {
	const low = bytes[place]! | (bytes[place + 1]! << 8) | (bytes[place + 2]! << 16) | (bytes[place + 3]! << 24);
	const high = bytes[place + 4]! | (bytes[place + 5]! << 8) | (bytes[place + 6]! << 16) | (bytes[place + 7]! << 24);
	const mixed = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca77);
	return mixed ^ (mixed >>> 15);
}

function isSame(source: Uint8Array, found: number, target: Uint8Array, place: number): boolean {
	for (let byte = 0; byte < blockBytes; byte++) if (source[found + byte] !== target[place + byte]) return false;
	return true;
}

function commonPrefix(source: Uint8Array, target: Uint8Array): number {
	const most = Math.min(source.length, target.length);
	let length = 0;
	while (length < most && source[length] === target[length]) length++;
	return length;
}

function commonSuffix(source: Uint8Array, target: Uint8Array, most: number): number {
	const end = Math.min(source.length, most);
	let length = 0;
	while (length < end && source[source.length - 1 - length] === target[target.length - 1 - length]) length++;
	return length;
}

/** The most bytes of a character after its first. If there are more, the bytes are not text, and the boundary does not matter. */
const continuationsMax = 3;

/** The last position up to here where a character starts, or the end. */
function wholeBefore(text: Uint8Array, place: number): number {
	const least = Math.max(0, place - continuationsMax);
	while (place > least && place < text.length && isContinuation(text[place]!)) place--;
	return place;
}

/** The first position from here on where a character starts, or the end. */
function wholeAfter(text: Uint8Array, place: number): number {
	const most = Math.min(text.length, place + continuationsMax);
	while (place < most && isContinuation(text[place]!)) place++;
	return place;
}

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** The sum of the 32-bit big-endian words. */
function checksum(bytes: Uint8Array): number {
	let sum = 0;
	const whole = bytes.length & ~3;
	for (let place = 0; place < whole; place += 4)
		sum = (sum + ((bytes[place]! << 24) | (bytes[place + 1]! << 16) | (bytes[place + 2]! << 8) | bytes[place + 3]!)) | 0;
	for (let place = whole, shift = 24; place < bytes.length; place++, shift -= 8) sum = (sum + (bytes[place]! << shift)) | 0;
	return sum >>> 0;
}

/** A delta under construction. It gives up when it gets as long as its target. */
class Delta {
	/** The number of bytes of the target that it covers. */
	done = 0;
	readonly #target: Uint8Array;
	readonly #bytes: Uint8Array;
	#length = 0;

	constructor(target: Uint8Array) {
		this.#target = target;
		this.#bytes = Buffer.allocUnsafe(target.length);
	}

	/** Null = it would not be shorter than the target. */
	get bytes(): Uint8Array | null {
		return this.#length < this.#target.length ? this.#bytes.subarray(0, this.#length) : null;
	}

	/** The bytes of the target from `from` to `to` equal those of the source at `offset`. */
	copy(from: number, to: number, offset: number): void {
		this.number(to - from);
		this.byte(at);
		this.number(offset);
		this.byte(comma);
		this.done = to;
	}

	insertUpTo(end: number): void {
		if (end === this.done) return;
		this.number(end - this.done);
		this.byte(colon);
		if (this.#length + end - this.done <= this.#bytes.length) this.#bytes.set(this.#target.subarray(this.done, end), this.#length);
		this.#length += end - this.done;
		this.done = end;
	}

	/** Writes a number below 2^32 in base 64, the most significant digit first. */
	number(value: number): void {
		let shift = 0;
		while (value >= 2 ** (shift + 6)) shift += 6;
		for (; shift >= 0; shift -= 6) this.byte(digits[Math.floor(value / 2 ** shift) & 63]!);
	}

	/** Bytes beyond the capacity are only counted. */
	byte(byte: number): void {
		this.#bytes[this.#length++] = byte;
	}
}
