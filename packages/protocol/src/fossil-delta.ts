/** What two texts must have in common to be worth a copy, which takes up to nine characters. */
const copyMin = 12;
/** The parts by which common texts are found. */
const blockBytes = 8;
/** Blocks of the source that are looked up; of a longer source not every one is. */
const blocksMax = 16_384;

const digits = Buffer.from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~");
const lineFeed = 0x0a;
const [at, colon, comma, semicolon] = Buffer.from("@:,;") as unknown as readonly [number, number, number, number];

/** Where blocks of the source lie, by their hash; used again for each delta. */
let table = new Int32Array(1024);

/**
 * The difference between two values in the format of Fossil's deltas, with which clients of the protocol make `target` out of `source`.
 * Null when it would not be shorter than the target. What it inserts begins and ends at whole characters, so the delta of a text is a text.
 *
 * Takes time in proportion to both lengths, whatever is in them: 4 µs for 400 bytes of JSON of which a few have changed, 0.3 ms for 54 KiB, and
 * 0.8 ms for 64 KiB that have nothing in common.
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

/** Copies what the source has anywhere, from where the delta is to before `end`. */
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

/** Notes where the blocks of the source lie. Returns the mask of their hashes. */
function index(source: Uint8Array): number {
	const step = Math.max(blockBytes, Math.ceil(source.length / blocksMax));
	const wanted = 2 ** Math.ceil(Math.log2((2 * source.length) / step + 2));
	if (table.length < wanted) table = new Int32Array(wanted);
	table.fill(-1, 0, wanted);
	const mask = wanted - 1;
	for (let place = 0; place + blockBytes <= source.length; place += step) {
		const slot = hash(source, place) & mask;
		// The first one: of what repeats itself, the longest copy begins there.
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

/** Bytes of a character behind its first. Where there are more the bytes are no text, and no care is needed. */
const continuationsMax = 3;

/** The last place up to here at which a character begins, or the end. */
function wholeBefore(text: Uint8Array, place: number): number {
	const least = Math.max(0, place - continuationsMax);
	while (place > least && place < text.length && isContinuation(text[place]!)) place--;
	return place;
}

/** The first place from here on at which a character begins, or the end. */
function wholeAfter(text: Uint8Array, place: number): number {
	const most = Math.min(text.length, place + continuationsMax);
	while (place < most && isContinuation(text[place]!)) place++;
	return place;
}

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** The sum of its 32-bit words, the first byte of each being the highest. */
function checksum(bytes: Uint8Array): number {
	let sum = 0;
	const whole = bytes.length & ~3;
	for (let place = 0; place < whole; place += 4)
		sum = (sum + ((bytes[place]! << 24) | (bytes[place + 1]! << 16) | (bytes[place + 2]! << 8) | bytes[place + 3]!)) | 0;
	for (let place = whole, shift = 24; place < bytes.length; place++, shift -= 8) sum = (sum + (bytes[place]! << shift)) | 0;
	return sum >>> 0;
}

/** A delta as it is written, which gives up when it gets as long as its target. */
class Delta {
	/** So much of the target is in it. */
	done = 0;
	readonly #target: Uint8Array;
	readonly #bytes: Uint8Array;
	#length = 0;

	constructor(target: Uint8Array) {
		this.#target = target;
		this.#bytes = Buffer.allocUnsafe(target.length);
	}

	/** Null = it is not shorter than its target. */
	get bytes(): Uint8Array | null {
		return this.#length < this.#target.length ? this.#bytes.subarray(0, this.#length) : null;
	}

	/** What the target has from `from` to `to`, the source has at `offset`. */
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

	/** Below 2^32, in digits of 6 bits, the highest first. */
	number(value: number): void {
		let shift = 0;
		while (value >= 2 ** (shift + 6)) shift += 6;
		for (; shift >= 0; shift -= 6) this.byte(digits[Math.floor(value / 2 ** shift) & 63]!);
	}

	/** Bytes beyond its place are only counted. */
	byte(byte: number): void {
		this.#bytes[this.#length++] = byte;
	}
}
