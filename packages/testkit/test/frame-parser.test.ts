import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stressed } from "../src/stress.ts";
import { FrameError, FrameParser } from "../src/websocket/frame-parser.ts";
import { decodeClose, encodeClose, encodeFrame, Opcode } from "../src/websocket/frames.ts";

type Seen = [opcode: number, text: string];

function parse(pieces: readonly Buffer[], messageBytesMax?: number): { seen: Seen[]; parser: FrameParser } {
	const seen: Seen[] = [];
	const note = (opcode: number, bytes: Buffer, start: number, end: number): void => {
		seen.push([opcode, bytes.toString("latin1", start, end)]);
	};
	const parser = new FrameParser({ message: note, control: note }, messageBytesMax);
	// One buffer for all reads, as a socket does it: what the parser keeps without copying is overwritten by the next read.
	const shared = Buffer.alloc(Math.max(0, ...pieces.map(({ length }) => length)) + 17);
	for (const piece of pieces) {
		shared.fill(0xee);
		piece.copy(shared, 17);
		parser.push(shared, 17, 17 + piece.length);
	}
	return { seen, parser };
}

/** Repeats after 90 characters; texts of different lengths differ from their first character on. */
const cycle = Array.from({ length: 90 }, (_, at) => String.fromCharCode(33 + ((at * 7) % 90))).join("");
function textOf(length: number): string {
	// Seven times 13 is 1 above 90.
	const start = (length * 13) % 90;
	return cycle.repeat(Math.ceil((start + length) / 90)).slice(start, start + length);
}

const server = { masked: false };
const frame = (opcode: Opcode, text: string, final = true): Buffer =>
	encodeFrame(opcode, Buffer.from(text, "latin1"), { ...server, final });

describe("FrameParser", () => {
	const stream = Buffer.concat([
		frame(Opcode.binary, "a"),
		frame(Opcode.text, ""),
		frame(Opcode.ping, "are you there"),
		frame(Opcode.text, "x".repeat(125)),
		frame(Opcode.binary, "y".repeat(126)),
		frame(Opcode.text, "frag", false),
		frame(Opcode.pong, "between fragments"),
		frame(Opcode.continuation, "", false),
		frame(Opcode.continuation, "mented"),
		encodeClose(3008, "slow", server),
	]);
	const whole: Seen[] = [
		[Opcode.binary, "a"],
		[Opcode.text, ""],
		[Opcode.ping, "are you there"],
		[Opcode.text, "x".repeat(125)],
		[Opcode.binary, "y".repeat(126)],
		[Opcode.pong, "between fragments"],
		[Opcode.text, "fragmented"],
		[Opcode.close, "\x0b\xc0slow"],
	];

	it("reads the same from every split into two, and byte by byte", () => {
		for (let cut = 0; cut <= stream.length; cut++) {
			const { seen, parser } = parse([stream.subarray(0, cut), stream.subarray(cut)]);
			expect(seen, `cut at ${cut}`).toEqual(whole);
			expect(parser.atBoundary).toBe(true);
		}
		expect(parse([...stream].map((byte) => Buffer.from([byte]))).seen).toEqual(whole);
	});

	it("reads the same from every split into three of two long frames", { tags: ["long"] }, () => {
		const long = Buffer.concat([frame(Opcode.binary, "z".repeat(300)), frame(Opcode.text, "end")]);
		for (let first = 0; first <= long.length; first++)
			for (let second = first; second <= Math.min(long.length, first + 20); second++) {
				const { seen } = parse([long.subarray(0, first), long.subarray(first, second), long.subarray(second)]);
				const lengths = seen.map(([, text]) => text.length).join();
				if (lengths !== "300,3") expect.fail(`cut at ${first} and ${second}: messages of ${lengths} bytes`);
			}
	});

	it(
		"reads any sequence of frames of any length cut anywhere (fuzz)",
		() => {
			const lengths = fc.oneof(fc.integer({ min: 0, max: 200 }), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000));
			const messages = fc.array(fc.tuple(fc.constantFrom(Opcode.text, Opcode.binary), lengths, fc.integer({ min: 1, max: 4 })), {
				maxLength: 6,
			});
			fc.assert(
				fc.property(messages, fc.array(fc.nat(200_000), { maxLength: 12 }), (plan, cuts) => {
					const expected: Seen[] = [];
					const frames: Buffer[] = [];
					for (const [opcode, length, parts] of plan) {
						const text = textOf(length);
						expected.push([opcode, text]);
						const step = Math.ceil(length / parts);
						for (let part = 0; part < parts; part++)
							frames.push(frame(part === 0 ? opcode : Opcode.continuation, text.slice(part * step, (part + 1) * step), part === parts - 1));
					}
					const bytes = Buffer.concat(frames);
					const points = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
					const pieces = points.slice(1).map((end, at) => bytes.subarray(points[at], end));
					expect(parse(pieces).seen).toEqual(expected);
				}),
				{ numRuns: stressed(200) },
			);
		},
		stressed(60_000),
	);

	it.each([
		["a reserved bit", Buffer.from([0xc2, 0x00])],
		["a masked frame", encodeFrame(Opcode.text, Buffer.from("a"), { masked: true })],
		["a reserved opcode", Buffer.from([0x83, 0x00])],
		["a fragmented ping", Buffer.from([0x09, 0x00])],
		["a long ping", Buffer.from([0x89, 126, 0, 126])],
		["a 16-bit length below 126", Buffer.from([0x82, 126, 0, 125])],
		["a 64-bit length below 65,536", Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff])],
		["a 64-bit length with the highest bit set", Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0])],
		["a continuation of nothing", Buffer.from([0x80, 0x00])],
		["a message within a message", Buffer.concat([frame(Opcode.text, "a", false), frame(Opcode.text, "b")])],
	])("refuses %s", (_what, bytes) => {
		expect(() => parse([bytes])).toThrow(FrameError);
	});

	it("bounds a message, in one frame and in fragments", () => {
		expect(() => parse([frame(Opcode.text, "x".repeat(101))], 100)).toThrow("longer than 100");
		expect(() => parse([frame(Opcode.text, "x".repeat(60), false), frame(Opcode.continuation, "x".repeat(60))], 100)).toThrow(
			"longer than 100",
		);
		expect(parse([frame(Opcode.text, "x".repeat(100))], 100).seen).toHaveLength(1);
	});

	it("tells code and reason of a close frame, 1005 for none", () => {
		const close = encodeClose(1009, "message too big", server);
		expect(decodeClose(close, 2, close.length)).toEqual({ code: 1009, reason: "message too big" });
		const empty = encodeClose(1005, "", server);
		expect(decodeClose(empty, 2, empty.length)).toEqual({ code: 1005, reason: "" });
	});
});
