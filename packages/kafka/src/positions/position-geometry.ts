import { packVersion, versionFix, versionProblem } from "@shardcast/wire";
import { PositionLayout, TableWord } from "./position-descriptor.ts";

/** Sizes and offsets, in bytes, that the header holds from `TableWord.described` on, in this order. Append only. */
const described = ["headerBytes", "slotBytes", "rowsOffset", "rowBytes", "deliveredOffset"] as const;

/** Where rows and intents are in a position table. Read from its header, since the table may have another minor version than this program. */
export class PositionGeometry {
	readonly rowsMax: number;
	readonly #rowsOffset: number;
	readonly #rowBytes: number;
	readonly #intentsOffset: number;
	readonly #intentBytes: number;
	/** Offset of the `delivered` cells in a row, in f64 words. */
	readonly delivered: number;

	/** @throws Error when the bytes are not a table that this program can use. */
	constructor(words: Int32Array) {
		if (words.length < PositionLayout.headerBytes >> 2 || Atomics.load(words, TableWord.magic) !== PositionLayout.magic)
			throw new Error("this is not a position table: start the cluster again");
		const problem = versionProblem(words[TableWord.version]!, PositionLayout.version);
		if (problem !== null) throw new Error(`the position table ${problem}: ${versionFix}`);
		this.rowsMax = words[TableWord.rowsMax]!;
		const [intentsOffset, intentBytes, rowsOffset, rowBytes, deliveredOffset] = described.map((_, at) => words[TableWord.described + at]!);
		const layout = [this.rowsMax, intentsOffset!, intentBytes!, rowsOffset!, rowBytes!, deliveredOffset!];
		const room =
			deliveredOffset! + 8 * PositionLayout.slotsMax <= rowBytes! && intentsOffset! + PositionLayout.slotsMax * intentBytes! <= rowsOffset!;
		if (layout.some((value) => value <= 0 || value > 2 ** 24) || layout.slice(1).some((value) => value % 8 !== 0) || !room)
			throw new Error(`the position table describes an impossible layout: ${versionFix}`);
		if (words.byteLength < rowsOffset! + this.rowsMax * rowBytes!)
			throw new Error(`the position table has ${words.byteLength} bytes, not enough for ${this.rowsMax} rows: ${versionFix}`);
		this.#intentsOffset = intentsOffset!;
		this.#intentBytes = intentBytes!;
		this.#rowsOffset = rowsOffset!;
		this.#rowBytes = rowBytes!;
		this.delivered = deliveredOffset! >> 3;
	}

	/** Writes this program's layout into the header. */
	static describe(words: Int32Array, rowsMax: number): void {
		words[TableWord.version] = packVersion(PositionLayout.version);
		words[TableWord.rowsMax] = rowsMax;
		described.forEach((name, index) => {
			words[TableWord.described + index] = PositionLayout[name];
		});
	}

	/** Start of a row, in bytes. */
	byte(row: number): number {
		return this.#rowsOffset + row * this.#rowBytes;
	}

	/** Start of a row, in i32 words. */
	word(row: number): number {
		return this.byte(row) >> 2;
	}

	/** Start of a row, in f64 words. */
	float(row: number): number {
		return this.byte(row) >> 3;
	}

	/** Start of a slot's intent, in bytes. */
	intent(slot: number): number {
		return this.#intentsOffset + slot * this.#intentBytes;
	}
}
