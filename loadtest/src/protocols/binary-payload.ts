import type { PayloadFormat } from "./payload-format.ts";

/**
 * The contents of a load test message, from which a receiver gets its sender, its number, its send time, and whether it is complete.
 *
 * ```
 *  0         4         8         12        16                  24            bytes - 4
 *  +---------+---------+---------+---------+-------------------+-------------+---------+
 *  | magic   | sender  | number  | bytes   | sent, f64         | filler …    | check   |
 *  | u32 LE  | u32 LE  | u32 LE  | u32 LE  | monotonic ms, LE  | 0x2e        | u32 LE  |
 *  +---------+---------+---------+---------+-------------------+-------------+---------+
 * ```
 * The checksum depends on sender, number and length: a message cut short, run into another or mixed up does not pass.
 */
const Layout = { magic: 0, sender: 4, number: 8, bytes: 12, sent: 16, filler: 24, checksumBytes: 4 } as const;

const magic = 0x53484344; // "DCHS" in memory: no text frame of another program begins so
const filler = 0x2e;

export const payloadBytesMin: number = Layout.filler + Layout.checksumBytes;

/** Depends on sender, number and length. */
export function checksum(sender: number, number: number, bytes: number): number {
	return (Math.imul(sender, 0x9e3779b1) ^ Math.imul(number, 0x85ebca6b) ^ bytes) >>> 0;
}

/** A new buffer: the socket keeps it until the kernel has taken it. */
export function writePayload(bytes: number, sender: number, number: number, sentMs: number): Buffer {
	const payload = Buffer.alloc(bytes, filler);
	payload.writeUInt32LE(magic, Layout.magic);
	payload.writeUInt32LE(sender, Layout.sender);
	payload.writeUInt32LE(number, Layout.number);
	payload.writeUInt32LE(bytes, Layout.bytes);
	payload.writeDoubleLE(sentMs, Layout.sent);
	payload.writeUInt32LE(checksum(sender, number, bytes), bytes - Layout.checksumBytes);
	return payload;
}

/** False for anything that is not a whole payload; the readers below are to be used only after that. */
export function isPayload(bytes: Buffer, start: number, end: number): boolean {
	const length = end - start;
	return (
		length >= payloadBytesMin &&
		bytes.readUInt32LE(start + Layout.magic) === magic &&
		bytes.readUInt32LE(start + Layout.bytes) === length &&
		bytes.readUInt32LE(end - Layout.checksumBytes) === checksum(senderOf(bytes, start), numberOf(bytes, start), length)
	);
}

export const senderOf = (bytes: Buffer, start: number): number => bytes.readUInt32LE(start + Layout.sender);
export const numberOf = (bytes: Buffer, start: number): number => bytes.readUInt32LE(start + Layout.number);
export const sentMsOf = (bytes: Buffer, start: number): number => bytes.readDoubleLE(start + Layout.sent);

/** For clients that get each message as a frame. */
export const binaryPayload: PayloadFormat = { bytesMin: payloadBytesMin, write: writePayload, isPayload, senderOf, numberOf, sentMsOf };
