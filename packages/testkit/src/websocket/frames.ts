import { randomFillSync } from "node:crypto";

/** RFC 6455, section 5. */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = (typeof Opcode)[keyof typeof Opcode];

/** Longest payload of a close, ping or pong. */
export const controlBytesMax = 125;

interface FrameOptions {
	/** Clients mask, servers do not. */
	readonly masked: boolean;
	/** Last frame of its message (true). */
	readonly final?: boolean;
}

const maskKeys = Buffer.alloc(4096);
let maskKeysLeft = 0;

/** Four random bytes from a pool: a system call for each message sent would show in the send rate. */
function nextMaskKey(): number {
	if (maskKeysLeft === 0) {
		randomFillSync(maskKeys);
		maskKeysLeft = maskKeys.length;
	}
	maskKeysLeft -= 4;
	return maskKeysLeft;
}

/** One frame, ready to be written to the socket. */
export function encodeFrame(opcode: Opcode, payload: Uint8Array, options: FrameOptions): Buffer {
	const bytes = payload.length;
	const lengthBytes = bytes < 126 ? 0 : bytes < 65_536 ? 2 : 8;
	const head = 2 + lengthBytes + (options.masked ? 4 : 0);
	const frame = Buffer.allocUnsafe(head + bytes);
	frame[0] = (options.final === false ? 0 : 0x80) | opcode;
	frame[1] = (options.masked ? 0x80 : 0) | (lengthBytes === 0 ? bytes : lengthBytes === 2 ? 126 : 127);
	if (lengthBytes === 2) frame.writeUInt16BE(bytes, 2);
	else if (lengthBytes === 8) frame.writeBigUInt64BE(BigInt(bytes), 2);
	frame.set(payload, head);
	if (options.masked) {
		const key = nextMaskKey();
		const at = 2 + lengthBytes;
		frame.set(maskKeys.subarray(key, key + 4), at);
		for (let index = 0; index < bytes; index++) frame[head + index] ^= maskKeys[key + (index & 3)];
	}
	return frame;
}

/** A close frame with its code; 1005 (none given) is never sent, so it stands for an empty one. */
export function encodeClose(code: number, reason: string, options: FrameOptions): Buffer {
	if (code === 1005) return encodeFrame(Opcode.close, new Uint8Array(0), options);
	const payload = Buffer.allocUnsafe(2 + Buffer.byteLength(reason));
	payload.writeUInt16BE(code, 0);
	payload.write(reason, 2);
	return encodeFrame(Opcode.close, payload, options);
}

/** Code and reason of a close frame's payload; 1005 when it has none. */
export function decodeClose(bytes: Buffer, start: number, end: number): { code: number; reason: string } {
	if (end - start < 2) return { code: 1005, reason: "" };
	return { code: bytes.readUInt16BE(start), reason: bytes.toString("utf8", start + 2, end) };
}
