import { Opcode } from "../websocket/frames.ts";
import { clientFrame, Fin } from "./client-frames.ts";

/** The messages that an endpoint understands, for the cases below. */
export interface CaseMessages {
	readonly opcode: typeof Opcode.text | typeof Opcode.binary;
	/** Message `n`, from 1. @param bytes its length, at least that of the shortest; 0 = the shortest. */
	message(n: number, bytes?: number): Buffer;
	/** As long as a message may be. */
	readonly bytesMax: number;
}

/** How a connection goes on after a case. `wrong`: the client has broken RFC 6455, which asks the server to close with this code. */
export type CaseEnd = "open" | { readonly closed: number } | { readonly wrong: number };

/** What a server makes of a case. */
export interface CaseOutcome {
	/** The numbers of the messages that it has taken, in order. */
	readonly messages: readonly number[];
	readonly pongs: readonly string[];
	readonly end: CaseEnd;
}

/** What a client sends, and what RFC 6455 says of it. */
export interface FrameCase extends CaseOutcome {
	readonly name: string;
	readonly bytes: Buffer;
	/** Where uWebSockets.js does something else: what, and why it may. */
	readonly shard?: { readonly outcome: Partial<CaseOutcome>; readonly why: string };
}

type CaseRow = readonly [name: string, frames: readonly Buffer[], expected: Partial<CaseOutcome>, shard?: FrameCase["shard"]];

const { continuation, text, binary, close, ping, pong } = Opcode;
const frame = clientFrame;
const closePayload = (code: number, reason: string | Buffer = "") =>
	Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason as string)]);
const closeWith = (code: number, reason?: string | Buffer) => frame(Fin | close, closePayload(code, reason));

/** What UTF-8 does not allow. */
const notUtf8: readonly (readonly [name: string, hex: string])[] = [
	["a continuation byte alone", "80"],
	["a slash in two bytes", "c0af"],
	["a slash in three bytes", "e080af"],
	["a slash in four bytes", "f08080af"],
	["a character that is cut off", "e282"],
	["a character that another one interrupts", "e22882"],
	["a surrogate", "eda080"],
	["a pair of surrogates", "eda080edb080"],
	["a code point above the last", "f4908080"],
	["a lead byte of five bytes", "f888808080"],
	["FE", "fe"],
	["FF", "ff"],
];

const refusedCloseCode = {
	outcome: { end: { closed: 1005 } },
	why: "uWebSockets.js answers codes that are not in its list with an empty close frame",
} as const satisfies FrameCase["shard"];

/** Cases of frames, each on a separate connection, in the spirit of the Autobahn test suite. Those about UTF-8 are for messages of text only. */
export function frameCases(messages: CaseMessages): FrameCase[] {
	const { opcode, bytesMax } = messages;
	const message = (n: number, bytes?: number) => messages.message(n, bytes);
	const whole = (n: number, bytes?: number) => frame(Fin | opcode, message(n, bytes));
	const isText = opcode === text;
	/** The message in fragments that end at these places. */
	const fragments = (n: number, ends: readonly number[], between: readonly Buffer[] = []) => {
		const bytes = message(n);
		const all = [...ends, bytes.length];
		const parts = all.map((end, index) =>
			frame(
				(index === all.length - 1 ? Fin : 0) | (index === 0 ? opcode : continuation),
				bytes.subarray(index === 0 ? 0 : all[index - 1], end),
			),
		);
		return parts.flatMap((part, index) => (index === 0 ? [part] : [...between, part]));
	};
	const everyEnd = Array.from({ length: message(1).length - 1 }, (_, at) => at + 1);
	const wrong = (code = 1002) => ({ end: { wrong: code } }) as const;
	/** A message, something wrong, and a message that nobody may get. */
	const refused = (name: string, frames: readonly Buffer[], shard?: FrameCase["shard"], code = 1002): CaseRow => [
		name,
		[whole(1), ...frames, whole(2)],
		{ messages: [1], ...wrong(code) },
		shard,
	];

	const rows: CaseRow[] = [
		["a message", [whole(1)], { messages: [1] }],
		["three messages", [whole(1), whole(2), whole(3)], { messages: [1, 2, 3] }],
		...[125, 126, 127, 128, 65_535, 65_536]
			.filter((bytes) => bytes <= bytesMax && bytes >= message(1).length)
			.map((bytes): CaseRow => [`a message of ${bytes} bytes`, [whole(1, bytes)], { messages: [1] }]),
		["a message as long as may be", [whole(1, bytesMax), whole(2)], { messages: [1, 2] }],
		["a mask of zeros", [frame(Fin | opcode, message(1), { mask: Buffer.alloc(4) })], { messages: [1] }],
		["a length in two bytes for no need", [frame(Fin | opcode, message(1), { lengthBytes: 2 })], { messages: [1] }],
		["a length in eight bytes for no need", [frame(Fin | opcode, message(1), { lengthBytes: 8 })], { messages: [1] }],
		refused(
			"a length with the highest bit set",
			[Buffer.from([Fin | opcode, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4])],
			undefined,
			1009,
		),
		refused("a length of a terabyte", [Buffer.from([Fin | opcode, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4])], undefined, 1009),

		["a ping", [frame(Fin | ping, "are you there")], { pongs: ["are you there"] }],
		["an empty ping", [frame(Fin | ping)], { pongs: [""] }],
		["a ping of any bytes", [frame(Fin | ping, Buffer.from([0, 0xff, 0xfe, 0x80]))], { pongs: ["\0\xff\xfe\x80"] }],
		["a ping of 125 bytes", [frame(Fin | ping, "p".repeat(125))], { pongs: ["p".repeat(125)] }],
		refused("a ping of 126 bytes", [frame(Fin | ping, "p".repeat(126))]),
		[
			"ten pings",
			Array.from({ length: 10 }, (_, n) => frame(Fin | ping, `ping ${n}`)),
			{ pongs: Array.from({ length: 10 }, (_, n) => `ping ${n}`) },
		],
		["a pong that nobody has asked for", [frame(Fin | pong, "here"), whole(1)], { messages: [1] }],
		refused("a ping with its length in two bytes", [frame(Fin | ping, "p", { lengthBytes: 2 })]),

		...[0x40, 0x20, 0x10, 0x70].flatMap((bits) =>
			(
				[
					[opcode, "a message"],
					[ping, "a ping"],
					[close, "a close frame"],
				] as const
			).map(([of, what]) =>
				refused(`reserved bits ${(bits >> 4).toString(2).padStart(3, "0")} on ${what}`, [
					frame(Fin | bits | of, of === close ? closePayload(1000) : message(1).subarray(0, 100)),
				]),
			),
		),
		...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((of) => refused(`the reserved opcode ${of}`, [frame(Fin | of, "x")])),
		refused("a frame that is not masked", [frame(Fin | ping, "", { mask: null }), Buffer.alloc(4)], {
			outcome: { messages: [1, 2], pongs: [""], end: "open" },
			why: "uWebSockets.js takes the four bytes behind each length for a mask; a client that sends none only garbles its own messages",
		}),

		["a message in two fragments", fragments(1, [1]), { messages: [1] }],
		["a message of one byte per fragment", fragments(1, everyEnd), { messages: [1] }],
		["empty fragments before, within and behind", fragments(1, [0, 0, 3, 3, message(1).length, message(1).length]), { messages: [1] }],
		["a ping within a message", fragments(1, [2], [frame(Fin | ping, "now")]), { messages: [1], pongs: ["now"] }],
		[
			"pings and pongs between all fragments",
			fragments(1, everyEnd, [frame(Fin | ping, "p"), frame(Fin | pong)]),
			{ messages: [1], pongs: everyEnd.map(() => "p") },
		],
		["a message in fragments, then a whole one", [...fragments(1, [1, 2]), whole(2)], { messages: [1, 2] }],
		["a close frame within a message", [frame(opcode, message(1)), closeWith(1000), frame(Fin | continuation)], { end: { closed: 1000 } }],
		refused("a ping in fragments", [frame(ping, "p"), frame(Fin | continuation, "q")]),
		refused("a pong in fragments", [frame(pong, "p"), frame(Fin | continuation, "q")]),
		refused("a close frame in fragments", [frame(close, closePayload(1000)), frame(Fin | continuation)]),
		refused("the last fragment of nothing", [frame(Fin | continuation, "x")]),
		refused("a fragment of nothing", [frame(continuation, "x")]),
		["a fragment behind the last", [...fragments(1, [1]), frame(Fin | continuation, "x"), whole(2)], { messages: [1], ...wrong() }],
		refused("a message of text within a message", [frame(opcode, "a"), frame(Fin | text, "b")]),
		[
			"a binary message within a message",
			[frame(opcode, message(1).subarray(0, 3)), frame(Fin | binary, message(1).subarray(3))],
			wrong(),
			{
				outcome: { messages: [1], end: "open" },
				why: "uWebSockets.js appends it to the message that it interrupts; limits and UTF-8 are checked for what the client gets out of it",
			},
		],

		["a close frame without a code", [frame(Fin | close), whole(1)], { end: { closed: 1005 } }],
		["a close frame with a reason", [closeWith(1000, "bye"), whole(1)], { end: { closed: 1000 } }],
		["a close frame with the longest reason", [closeWith(1000, "r".repeat(123)), whole(1)], { end: { closed: 1000 } }],
		refused("a close frame of 126 bytes", [closeWith(1000, "r".repeat(124))]),
		...[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4999].map(
			(code): CaseRow => [`the close code ${code}`, [closeWith(code)], { end: { closed: code } }],
		),
		...[1012, 1013, 1014, 3000, 3999].map(
			(code): CaseRow => [`the close code ${code}`, [closeWith(code)], { end: { closed: code } }, refusedCloseCode],
		),
		...[0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
			(code): CaseRow => [`the close code ${code}`, [closeWith(code), whole(1)], wrong(), refusedCloseCode],
		),
		[
			"a close frame of one byte",
			[frame(Fin | close, "a"), whole(1)],
			wrong(),
			{ outcome: { end: { closed: 1005 } }, why: "uWebSockets.js reads it as one without a code" },
		],
		[
			"a reason that is not UTF-8",
			[closeWith(1000, Buffer.from([0xff])), whole(1)],
			wrong(1007),
			{ outcome: { end: { closed: 1005 } }, why: "uWebSockets.js answers it with an empty close frame" },
		],
		[
			"a message and a ping behind a close frame",
			[whole(1), closeWith(1000), whole(2), frame(Fin | ping, "late")],
			{ messages: [1], end: { closed: 1000 } },
		],
	];
	if (isText) {
		const kinds = "é€𐍈\uffff\u{10ffff}";
		rows.push(
			...notUtf8.flatMap(([name, hex]) => {
				const bytes = Buffer.from(hex, "hex");
				return [
					refused(`${name}, which is not UTF-8`, [frame(Fin | text, bytes)], undefined, 1007),
					refused(
						`${name}, in fragments`,
						[frame(text, bytes.subarray(0, 1)), frame(continuation), frame(Fin | continuation, bytes.subarray(1))],
						undefined,
						1007,
					),
				];
			}),
			["a character cut by fragments, valid as a whole", fragments(1, everyEnd), { messages: [1] }],
		);
		if (!message(1).includes(kinds)) throw new Error(`messages of text contain ${kinds}, so that fragments cut characters of each length`);
	} else
		rows.push([
			"bytes that are not UTF-8",
			[frame(Fin | opcode, Buffer.concat([message(1), Buffer.from("fffec0", "hex")]))],
			{ messages: [1] },
		]);
	return rows.map(([name, frames, expected, shard]) => ({
		name,
		bytes: Buffer.concat(frames),
		messages: [],
		pongs: [],
		end: "open",
		...expected,
		...(shard !== undefined && { shard }),
	}));
}
