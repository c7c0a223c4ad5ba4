import { BoardText } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";

describe("BoardText", () => {
	const texts = (bytes = 64) => {
		const buffer = new SharedArrayBuffer(bytes);
		return { buffer, writer: new BoardText(buffer, 0, bytes), reader: new BoardText(buffer, 0, bytes) };
	};

	it("is read as it was written last, empty at first", () => {
		const { writer, reader } = texts();
		expect(reader.text).toBe("");
		for (const text of ["a longer text", "short", "", "Größe €"]) {
			writer.text = text;
			expect(reader.text).toBe(text);
		}
	});

	it("is cut off at a character when it is too long", () => {
		const { writer, reader } = texts(16);
		writer.text = "1234567€";
		expect(reader.text).toBe("1234567");
	});

	it("reads nothing of a text whose writer died half-way, and all of its successor's", () => {
		const { buffer, writer, reader } = texts();
		writer.text = "before";
		const sequence = new Int32Array(buffer);
		sequence[0]! += 1;
		expect(reader.text).toBe("");
		new BoardText(buffer, 0, 64).text = "after";
		expect(reader.text).toBe("after");
	});

	it("stays within its bytes, whatever length they claim", () => {
		const { buffer, writer, reader } = texts(32);
		writer.text = "abc";
		new Int32Array(buffer)[1] = 1_000_000;
		expect(reader.text.length).toBe(24);
	});
});
