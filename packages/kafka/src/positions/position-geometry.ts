import { packVersion, versionFix, versionProblem } from "@shardcast/wire";
import { PositionLayout, TableWord } from "./position-descriptor.ts";

/** Where the header says so: sizes and offsets in bytes, in this order from `TableWord.described` on. Only appended to. */
const described = ["headerBytes", "slotBytes", "rowsOffset", "rowBytes", "deliveredOffset"] as const;

/** Where rows and intents lie in one position table, as its header tells: it may be of another minor version than this program. */
export class PositionGeometry {
	readonly rowsMax: number;
	readonly #rowsOffset: number;
	readonly #rowBytes: number;
	readonly #intentsOffset: number;
	readonly #intentBytes: number;
	/** From the start of a row, in f64 words. */
	readonly delivered: number;

	/** @throws Error when these bytes are no table that this program can use. */
	constructor(words: Int32Array) {
		if (words.length < PositionLayout.headerBytes >> 2 || Atomics.load(words, TableWord.magic) !== PositionLayout.magic)
			throw new Error("no position table here: start the cluster again");
		const problem = versionProblem(words[TableWord.version]!, PositionLayout.version);
		if (problem !== null) throw new Error(`the position table ${problem}: ${versionFix}`);
		this.rowsMax = words[TableWord.rowsMax]!;
		const [intentsOffset, intentBytes, rowsOffset, rowBytes, deliveredOffset] = described.map((_, at) => words[TableWord.described + at]!);
		const layout = [this.rowsMax, intentsOffset!, intentBytes!, rowsOffset!, rowBytes!, deliveredOffset!];
		const room =
			deliveredOffset! + 8 * PositionLayout.slotsMax <= rowBytes! && intentsOffset! + PositionLayout.slotsMax * intentBytes! <= rowsOffset!;
		if (layout.some((value) => value <= 0 || value > 2 ** 24) || layout.slice(1).some((value) => value % 8 !== 0) || !room)
			throw new Error(`the position table describes a layout that can't be: ${versionFix}`);
		if (words.byteLength < rowsOffset! + this.rowsMax * rowBytes!)
			throw new Error(`the position table has ${words.byteLength} bytes, not enough for ${this.rowsMax} rows: ${versionFix}`);
		this.#intentsOffset = intentsOffset!;
		this.#intentBytes = intentBytes!;
		this.#rowsOffset = rowsOffset!;
		this.#rowBytes = rowBytes!;
		this.delivered = deliveredOffset! >> 3;
	}

	/** Writes it down, as this program lays tables out. */
	static describe(words: Int32Array, rowsMax: number): void {
		words[TableWord.version] = packVersion(PositionLayout.version);
		words[TableWord.rowsMax] = rowsMax;
		described.forEach((name, index) => {
			words[TableWord.described + index] = PositionLayout[name];
		});
	}

	/** Where a row begins, in bytes. */
	byte(row: number): number {
		return this.#rowsOffset + row * this.#rowBytes;
	}

	/** In i32 words. */
	word(row: number): number {
		return this.byte(row) >> 2;
	}

	/** In f64 words. */
	float(row: number): number {
		return this.byte(row) >> 3;
	}

	/** Where a slot's intent begins, in bytes. */
	intent(slot: number): number {
		return this.#intentsOffset + slot * this.#intentBytes;
	}
}
