import type { RecordRange } from "@shardcast/kafka";
import { type Codec, EncodedPublications } from "@shardcast/protocol";
import { asJson } from "@shardcast/wire";

const comma = 0x2c;
const initialBytes = 65_536;

/** The records of one range in one encoding, as elements of a list. Grows with the range. */
class EncodedRange {
	readonly #codec: Codec;
	/** Bytes between two elements. */
	readonly #separator: number;
	#bytes = Buffer.allocUnsafeSlow(initialBytes);
	#length = 0;
	/** Where each record starts, and where the next one will. */
	readonly #starts: number[] = [0];

	constructor(codec: Codec) {
		this.#codec = codec;
		this.#separator = codec.binary ? 0 : 1;
	}

	/** The records from `from` to before `to`. Their bytes do not change. */
	slice({ records }: RecordRange, from: number, to: number): EncodedPublications {
		for (let index = this.#starts.length - 1; index < to; index++) this.#add(records[index]!);
		return new EncodedPublications(this.#bytes.subarray(this.#starts[from]!, this.#starts[to]! - this.#separator), to - from);
	}

	#add({ offset, kind, data }: RecordRange["records"][number]): void {
		const codec = this.#codec;
		const encoded = codec.listedPublication({ data: codec.binary ? data : asJson(data, kind), offset });
		this.#reserve(encoded.length + 1);
		this.#bytes.set(encoded, this.#length);
		this.#length += encoded.length;
		if (this.#separator > 0) this.#bytes[this.#length++] = comma;
		this.#starts.push(this.#length);
	}

	#reserve(bytes: number): void {
		const needed = this.#length + bytes;
		if (needed <= this.#bytes.length) return;
		const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
		larger.set(this.#bytes.subarray(0, this.#length));
		this.#bytes = larger;
	}
}

/**
 * Records read from Kafka, encoded once for all clients that have missed them, whichever part each of them has missed. Freed with the range,
 * whose bound covers both; each encoding takes about as much as the records.
 */
export class EncodedRanges {
	readonly #ranges = new WeakMap<RecordRange, Map<Codec, EncodedRange>>();

	slice(codec: Codec, range: RecordRange, from: number, to: number): EncodedPublications {
		let encodings = this.#ranges.get(range);
		if (encodings === undefined) {
			encodings = new Map();
			this.#ranges.set(range, encodings);
		}
		let encoded = encodings.get(codec);
		if (encoded === undefined) {
			encoded = new EncodedRange(codec);
			encodings.set(codec, encoded);
		}
		return encoded.slice(range, from, to);
	}
}
