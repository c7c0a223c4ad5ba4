import { constants, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { arbitraryText } from "../arbitraries.ts";
import { Opcode } from "../websocket/frames.ts";

/** One frame of a client as a test wants it, right or wrong. */
export interface ClientFrame {
	/** FIN, the reserved bits and the opcode. */
	readonly first: number;
	readonly payload: Buffer;
	/** Four bytes; null = not masked, which servers must refuse. */
	readonly mask: Buffer | null;
	/** The bytes of the length after the first; "least" = as few as hold it. */
	readonly lengthBytes: "least" | 2 | 8;
}

export const Fin = 0x80;
/** The bit of permessage-deflate. */
export const Compressed = 0x40;

export function clientFrameBytes({ first, payload, mask, lengthBytes }: ClientFrame): Buffer {
	const bytes = payload.length;
	const least = bytes < 126 ? 0 : bytes < 65_536 ? 2 : 8;
	const long = lengthBytes === "least" || (lengthBytes === 2 && least === 8) ? least : lengthBytes;
	const head = Buffer.alloc(2 + long);
	head[0] = first;
	head[1] = (mask === null ? 0 : 0x80) | (long === 0 ? bytes : long === 2 ? 126 : 127);
	if (long === 2) head.writeUInt16BE(bytes, 2);
	if (long === 8) head.writeBigUInt64BE(BigInt(bytes), 2);
	if (mask === null) return Buffer.concat([head, payload]);
	return Buffer.concat([head, mask, Buffer.from(payload.map((byte, at) => byte ^ mask[at & 3]!))]);
}

const usualMask = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** A frame that is right but for what `first` says. */
export function clientFrame(first: number, payload: string | Uint8Array = "", options: Partial<ClientFrame> = {}): Buffer {
	return clientFrameBytes({ first, payload: Buffer.from(payload as string), mask: usualMask, lengthBytes: "least", ...options });
}

/** As permessage-deflate wants it: without the last four bytes, which are always the same. */
export function deflated(text: string | Uint8Array): Buffer {
	return deflateRawSync(text as string, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** The head of a frame as it stands in a client's bytes. */
export interface FrameHead {
	/** Where it begins. */
	readonly at: number;
	/** Up to the payload: with the mask. */
	readonly headBytes: number;
	readonly first: number;
	readonly isMasked: boolean;
}

interface Reading {
	/** Each frame has a mask, whatever its head says. */
	readonly takesAllForMasked?: boolean;
}

/** The frames in these bytes, whatever is wrong with them; `isWhole` = the last one ends with them. */
export function framesIn(
	bytes: Buffer,
	{ takesAllForMasked = false }: Reading = {},
): { readonly frames: readonly FrameHead[]; readonly isWhole: boolean } {
	const frames: FrameHead[] = [];
	let at = 0;
	while (at + 2 <= bytes.length) {
		const [first, second] = [bytes[at]!, bytes[at + 1]!];
		const isMasked = takesAllForMasked || (second & 0x80) !== 0;
		const short = second & 0x7f;
		const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
		const headBytes = 2 + lengthBytes + (isMasked ? 4 : 0);
		frames.push({ at, headBytes, first, isMasked });
		if (at + 2 + lengthBytes > bytes.length) return { frames, isWhole: false };
		const length = lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
		at += headBytes + length;
	}
	return { frames, isWhole: at === bytes.length };
}

/** What a client sends after the handshake. */
export interface ClientStream {
	readonly bytes: Buffer;
	/** The same in the pieces in which it is written. */
	readonly pieces: readonly Buffer[];
	/** For people: a line for each frame. */
	readonly story: readonly string[];
}

interface StreamOptions {
	/** The longest message that the server takes; lengths around it are preferred. */
	readonly messageBytesMax: number;
	/** The server has agreed on permessage-deflate. */
	readonly deflate: boolean;
}

/** Sequences that are right or wrong in one place: each kind of lead byte, and all that UTF-8 forbids. */
const utf8Pieces = ["a", "é", "€", "𐍈", "\uffff", "\u{10ffff}"].map((text) => Buffer.from(text));
const notUtf8 = [
	"80",
	"bf",
	"c0af",
	"c1bf",
	"e08080",
	"e2282c",
	"eda080",
	"edbfbf",
	"f0808080",
	"f4908080",
	"f5808080",
	"fe",
	"ff",
	"e282",
	"f09f98",
];
const wrongPieces = notUtf8.map((hex) => Buffer.from(hex, "hex"));

const frameOf = (first: number, payload: Uint8Array, mask: Buffer): ClientFrame => ({
	first,
	payload: Buffer.from(payload),
	mask,
	lengthBytes: "least",
});

/** Messages and control frames of a client that does nothing wrong, then some of it damaged. */
export function clientStreams({ messageBytesMax, deflate }: StreamOptions): fc.Arbitrary<ClientStream> {
	const mask = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes));
	const lengths = fc.oneof(
		fc.nat(20),
		fc.constantFrom(0, 1, 125, 126, 127, messageBytesMax - 1, messageBytesMax, messageBytesMax + 1, 2 * messageBytesMax + 1),
	);
	const text = fc.oneof(
		{ weight: 3, arbitrary: arbitraryText({ maxLength: 12 }).map((value) => Buffer.from(value)) },
		{
			weight: 2,
			arbitrary: fc.array(fc.constantFrom(...utf8Pieces, ...utf8Pieces, ...wrongPieces), { maxLength: 4 }).map((all) => Buffer.concat(all)),
		},
		{ weight: 1, arbitrary: lengths.map((length) => Buffer.alloc(length, "x")) },
	);
	const binary = fc.oneof(
		fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
		lengths.map((length) => Buffer.alloc(length, 0xa5)),
	);
	const data = fc.oneof(fc.tuple(fc.constant(Opcode.text), text), fc.tuple(fc.constant(Opcode.binary), binary));
	const control = fc
		.tuple(fc.constantFrom(Opcode.ping, Opcode.pong), fc.oneof(fc.constantFrom(0, 124, 125), fc.nat(8)), mask)
		.map(([opcode, length, key]) => frameOf(Fin | opcode, Buffer.alloc(length, "p"), key));
	const closeCode = fc.oneof(
		fc.constantFrom(
			0,
			999,
			1000,
			1001,
			1003,
			1004,
			1005,
			1006,
			1007,
			1011,
			1012,
			1014,
			1015,
			1016,
			2999,
			3000,
			3001,
			4000,
			4999,
			5000,
			65_535,
		),
		fc.nat(65_535),
	);
	const close = fc
		.tuple(
			fc.option(closeCode, { freq: 5 }),
			fc.oneof(
				{ weight: 3, arbitrary: text.map((bytes) => bytes.subarray(0, 123)) },
				{ weight: 1, arbitrary: fc.constantFrom(Buffer.alloc(123, "r"), Buffer.alloc(124, "r")) },
			),
			mask,
		)
		.map(([code, reason, key]) =>
			frameOf(Fin | Opcode.close, code === null ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), reason]), key),
		);
	const message = fc
		.tuple(data, fc.array(fc.nat(200), { maxLength: 4 }), fc.array(control, { maxLength: 2 }), fc.boolean(), mask)
		.map(([[opcode, plain], cuts, controls, compressed, key]) => {
			const isCompressed = compressed && deflate;
			const payload = isCompressed ? deflated(plain) : plain;
			const ends = [...cuts.map((cut) => cut % (payload.length + 1)).sort((a, b) => a - b), payload.length];
			const frames = ends.map((end, index) => {
				const isFirst = index === 0;
				const start = isFirst ? 0 : ends[index - 1]!;
				const first = (index === ends.length - 1 ? Fin : 0) | (isFirst ? opcode | (isCompressed ? Compressed : 0) : Opcode.continuation);
				return frameOf(first, payload.subarray(start, end), key);
			});
			return [frames[0]!, ...controls, ...frames.slice(1)];
		});
	const story = fc.array(
		fc.oneof(
			{ weight: 6, arbitrary: message },
			{ weight: 3, arbitrary: control.map((frame) => [frame]) },
			{ weight: 1, arbitrary: close.map((frame) => [frame]) },
		),
		{ minLength: 1, maxLength: 5 },
	);
	const pieceOf = fc.array(fc.nat(70_000), { maxLength: 6 });
	return fc.tuple(story, fc.array(damage(lengths), { maxLength: 2 }), pieceOf).map(([parts, damages, cuts]) => {
		let frames = parts.flat();
		let tail: (bytes: Buffer) => Buffer = (bytes) => bytes;
		for (const each of damages) {
			if ("frames" in each) frames = each.frames(frames);
			else tail = each.bytes;
		}
		const bytes = tail(Buffer.concat(frames.map(clientFrameBytes)));
		const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
		return {
			bytes,
			pieces: ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end)).filter(({ length }) => length > 0),
			story: frames.map(describeFrame),
		};
	});
}

type Damage = { frames(frames: ClientFrame[]): ClientFrame[] } | { bytes(bytes: Buffer): Buffer };

/** One thing that is wrong. */
function damage(lengths: fc.Arbitrary<number>): fc.Arbitrary<Damage> {
	const at = fc.nat(30);
	const changed = (index: number, change: (frame: ClientFrame) => ClientFrame): Damage => ({
		frames: (frames) => frames.map((frame, each) => (each === index % frames.length ? change(frame) : frame)),
	});
	return fc.oneof(
		fc
			.tuple(at, fc.constantFrom(0x80, 0x40, 0x20, 0x10, 0x70))
			.map(([index, bits]) => changed(index, (frame) => ({ ...frame, first: frame.first ^ bits }))),
		fc.tuple(at, fc.nat(15)).map(([index, opcode]) => changed(index, (frame) => ({ ...frame, first: (frame.first & 0xf0) | opcode }))),
		at.map((index) => changed(index, (frame) => ({ ...frame, mask: null }))),
		fc
			.tuple(at, fc.constantFrom(2 as const, 8 as const))
			.map(([index, lengthBytes]) => changed(index, (frame) => ({ ...frame, lengthBytes }))),
		fc.tuple(at, lengths).map(([index, length]) => changed(index, (frame) => ({ ...frame, payload: Buffer.alloc(length, "l") }))),
		fc.tuple(at, at, fc.nat(255)).map(([index, place, byte]) =>
			changed(index, (frame) => {
				const payload = Buffer.from(frame.payload);
				if (payload.length > 0) payload[place % payload.length] = byte;
				return { ...frame, payload };
			}),
		),
		at.map((index): Damage => ({ frames: (frames) => frames.filter((_, each) => each !== index % frames.length) })),
		at.map(
			(index): Damage => ({
				frames: (frames) => frames.flatMap((frame, each) => (each === index % frames.length ? [frame, frame] : [frame])),
			}),
		),
		fc.tuple(fc.nat(2000), fc.nat(255)).map(
			([place, byte]): Damage => ({
				bytes: (bytes) => {
					const copy = Buffer.from(bytes);
					if (copy.length > 0) copy[place % copy.length] = byte;
					return copy;
				},
			}),
		),
		fc.nat(2000).map((place): Damage => ({ bytes: (bytes) => bytes.subarray(0, place % (bytes.length + 1)) })),
	);
}

function describeFrame({ first, payload, mask, lengthBytes }: ClientFrame): string {
	const names: Record<number, string> = { 0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };
	const bits = [first & Fin ? "fin" : "", first & 0x40 ? "rsv1" : "", first & 0x20 ? "rsv2" : "", first & 0x10 ? "rsv3" : ""];
	const content = payload.length > 24 ? `${payload.length} bytes` : payload.toString("hex");
	const rest = [mask === null ? "unmasked" : "", lengthBytes === "least" ? "" : `length in ${lengthBytes} bytes`];
	return [names[first & 15] ?? `opcode ${first & 15}`, ...bits, ...rest, content].filter((word) => word !== "").join(" ");
}
