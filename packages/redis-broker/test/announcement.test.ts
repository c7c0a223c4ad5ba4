import { describe, expect, it } from "vitest";
import { readAnnouncements } from "../src/feed/announcement.ts";

const read = (text: string) =>
	readAnnouncements(Buffer.from(text))?.map(({ offset, epoch, bytes }) => `${offset} ${epoch} ${bytes.toString()}`);

describe("readAnnouncements", () => {
	it("reads the publications of a batch, whatever bytes they have, and the removal of a history", () => {
		expect(read("7 e-1 3 abc")).toEqual(["7 e-1 abc"]);
		expect(read("7 e-1 3,0,4 abc, ,1")).toEqual(["7 e-1 abc", "8 e-1 ", "9 e-1 , ,1"]);
		expect(read("-7 e-1  ")).toEqual(["-7 e-1 "]);
	});

	it("ignores what another program has sent, or a part is missing of", () => {
		for (const text of [
			"",
			" ",
			"hello",
			"7",
			"7 e",
			"7 e 3",
			"x e 3 abc",
			"7 e 3 ab",
			"7 e 3 abcd",
			"7 e 3,-3 ",
			"7 e -1 abc",
			"7 e 1.5 ab",
			"7 e x abc",
		])
			expect(readAnnouncements(Buffer.from(text)), JSON.stringify(text)).toBeNull();
		expect(readAnnouncements(Buffer.from(`7 ${"e".repeat(80)} 3 abc`))).toBeNull();
	});

	it("every message that is cut off is ignored", () => {
		const message = Buffer.from("12 epoch-1 3,5,2 abcdefghij");
		for (let length = 0; length < message.length; length++)
			expect(readAnnouncements(message.subarray(0, length)), `${length} bytes`).toBeNull();
	});
});
