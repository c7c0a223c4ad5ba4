import { describe, expect, it } from "vitest";
import { FrameEnds } from "../src/pass/frame-ends.ts";

/** A frame with a payload of so many bytes, all of which look like the beginning of a frame. */
function frame(length: number, isMasked = false): Buffer {
	const mask = isMasked ? 0x80 : 0;
	const header =
		length < 126
			? Buffer.from([0x82, mask | length])
			: length < 65_536
				? Buffer.from([0x82, mask | 126, length >> 8, length & 0xff])
				: Buffer.from([0x82, mask | 127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff]);
	return Buffer.concat([header, Buffer.alloc(isMasked ? 4 : 0, 0x7f), Buffer.alloc(length, 0x81)]);
}

describe("the ends of frames", () => {
	const frames = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, 0].flatMap((length) => [frame(length), frame(length, true)]);
	const bytes = Buffer.concat(frames);
	const ends = frames.map((_, index) => frames.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0));

	it.each([1, 2, 3, 7, 130, 4096, bytes.length])("in pieces of %d bytes", (pieceBytes) => {
		const reader = new FrameEnds();
		const found: number[] = [];
		const between: number[] = [];
		for (let at = 0; at < bytes.length; at += pieceBytes) {
			const end = reader.push(bytes.subarray(at, at + pieceBytes));
			if (end > 0) found.push(at + end);
			if (reader.isBetween) between.push(Math.min(at + pieceBytes, bytes.length));
		}
		const lastInPiece = new Map(ends.map((end) => [Math.ceil(end / pieceBytes), end]));
		expect(found).toEqual([...lastInPiece.values()]);
		expect(between).toEqual(ends.filter((end) => end % pieceBytes === 0 || end === bytes.length));
	});
});
