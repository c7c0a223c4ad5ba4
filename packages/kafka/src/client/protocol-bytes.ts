import { topicIdBytes, topicIdLength, topicIdText } from "../topic-id.ts";

/**
 * Kafka's two encodings. In the flexible one of newer request versions, lengths are unsigned varints of length + 1 (0 = null), and each
 * structure ends with tagged fields; none are sent here. In the older one, "fixed" in names here, lengths are i16 for text and i32 for
 * lists and blobs (-1 = null).
 */

/** Builds a request. **One user.** */
export class ProtocolWriter {
	readonly #parts: Uint8Array[] = [];

	int8(value: number): this {
		return this.#number(1, (part) => part.writeInt8(value));
	}
	int16(value: number): this {
		return this.#number(2, (part) => part.writeInt16BE(value));
	}
	int32(value: number): this {
		return this.#number(4, (part) => part.writeInt32BE(value));
	}
	int64(value: number): this {
		return this.#number(8, (part) => part.writeBigInt64BE(BigInt(value)));
	}
	id(id: string): this {
		this.#parts.push(topicIdBytes(id));
		return this;
	}
	/** Null, which means "all" in some fields, is kept apart from an empty list. */
	list<T>(items: readonly T[] | null, write: (item: T) => void): this {
		this.#uvarint(items === null ? 0 : items.length + 1);
		for (const item of items ?? []) write(item);
		return this;
	}
	text(text: string): this {
		const bytes = Buffer.from(text);
		this.#uvarint(bytes.length + 1);
		this.#parts.push(bytes);
		return this;
	}
	fixedList<T>(items: readonly T[], write: (item: T) => void): this {
		this.int32(items.length);
		for (const item of items) write(item);
		return this;
	}
	fixedText(text: string): this {
		const bytes = Buffer.from(text);
		this.int16(bytes.length);
		this.#parts.push(bytes);
		return this;
	}
	/** Writes an empty set of tagged fields, which ends a structure. */
	noTags(): this {
		return this.int8(0);
	}

	bytes(): Buffer {
		return Buffer.concat(this.#parts);
	}

	#number(bytes: number, write: (part: Buffer) => void): this {
		const part = Buffer.alloc(bytes);
		write(part);
		this.#parts.push(part);
		return this;
	}

	#uvarint(value: number): void {
		const bytes: number[] = [];
		let rest = value;
		for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
		bytes.push(rest);
		this.#parts.push(Buffer.from(bytes));
	}
}

/**
 * Reads an answer. **One user.** All methods throw a RangeError for an answer that is truncated or has an impossible length. They
 * allocate only for bytes that are present, never for announced lengths.
 */
export class ProtocolReader {
	readonly #bytes: Buffer;
	#at = 0;

	constructor(bytes: Buffer) {
		this.#bytes = bytes;
	}

	int8(): number {
		return this.#bytes.readInt8(this.#take(1));
	}
	int16(): number {
		return this.#bytes.readInt16BE(this.#take(2));
	}
	int32(): number {
		return this.#bytes.readInt32BE(this.#take(4));
	}
	/** Reads an i64 as a number: offsets stay far below 2^53. */
	int64(): number {
		return Number(this.bigInt64());
	}
	bigInt64(): bigint {
		return this.#bytes.readBigInt64BE(this.#take(8));
	}
	id(): string | null {
		return topicIdText(this.#slice(topicIdLength));
	}
	text(): string | null {
		const length = this.#uvarint() - 1;
		return length < 0 ? null : this.#slice(length).toString();
	}
	/** A view, not a copy; empty for null. */
	blob(): Buffer {
		return this.#slice(Math.max(this.#uvarint() - 1, 0));
	}
	list<T>(read: () => T): T[] {
		return this.#items(this.#uvarint() - 1, read);
	}
	fixedText(): string | null {
		const length = this.int16();
		return length < 0 ? null : this.#slice(length).toString();
	}
	fixedBlob(): Buffer {
		return this.#slice(Math.max(this.int32(), 0));
	}
	fixedList<T>(read: () => T): T[] {
		return this.#items(this.int32(), read);
	}
	/** Reads the tagged fields that end a structure. `visit` reads the ones it knows; the others are skipped. */
	tags(visit?: (tag: number) => void): void {
		for (let left = this.#uvarint(); left > 0; left--) {
			const tag = this.#uvarint();
			const length = this.#uvarint();
			const end = this.#at + length;
			if (end > this.#bytes.length) throw cutOff();
			visit?.(tag);
			if (this.#at > end) throw new RangeError(`the broker's tagged field ${tag} is too short`);
			this.#at = end;
		}
	}

	/** An item has at least one byte, so the remaining bytes bound their number. */
	#items<T>(count: number, read: () => T): T[] {
		if (count > this.#bytes.length - this.#at) throw cutOff();
		const items: T[] = [];
		for (let left = count; left > 0; left--) items.push(read());
		return items;
	}

	#slice(length: number): Buffer {
		const at = this.#take(length);
		return this.#bytes.subarray(at, at + length);
	}

	#take(length: number): number {
		const at = this.#at;
		if (at + length > this.#bytes.length) throw cutOff();
		this.#at = at + length;
		return at;
	}

	/** At most 32 bits, as in Kafka. */
	#uvarint(): number {
		let value = 0;
		for (let scale = 1; scale <= uvarintScaleMax; scale *= 0x80) {
			const byte = this.#bytes.readUInt8(this.#take(1));
			value += (byte & 0x7f) * scale;
			if (byte <= 0x7f) return value;
		}
		throw new RangeError("the broker's answer contains an invalid length");
	}
}

const uvarintScaleMax = 0x80 ** 4;

function cutOff(): RangeError {
	return new RangeError("the broker's answer is truncated");
}
