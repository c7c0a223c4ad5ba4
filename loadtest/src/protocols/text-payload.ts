import { checksum } from "./binary-payload.ts";
import type { PayloadFormat } from "./payload-format.ts";

/**
 * The same as the binary payload, as a JSON string without escapes: for protocols whose messages are JSON. Numbers are hexadecimal with
 * leading zeros.
 *
 * ```
 *  0   1         5         13        21        29                  45         bytes - 9   bytes - 1
 *  +---+---------+---------+---------+---------+-------------------+----------+---------+---+
 *  | " | SHDC    | sender  | number  | bytes   | sent, µs          | filler … | check   | " |
 *  +---+---------+---------+---------+---------+-------------------+----------+---------+---+
 * ```
 */
const Layout = { magic: 1, sender: 5, number: 13, bytes: 21, sent: 29, filler: 45, endBytes: 9 } as const;
const magic = "SHDC";
const quote = 0x22;
const filler = ".";
const u32 = 2 ** 32;

function hex(value: number): string {
	return value.toString(16).padStart(8, "0");
}

/** Eight digits; NaN if one of them is none. A loop: a string for each message received would show. */
function readHex(bytes: Buffer, start: number): number {
	let value = 0;
	for (let at = start; at < start + 8; at++) {
		const byte = bytes[at];
		const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : byte >= 0x61 && byte <= 0x66 ? byte - 0x57 : Number.NaN;
		value = value * 16 + digit;
	}
	return value;
}

const senderOf = (bytes: Buffer, start: number): number => readHex(bytes, start + Layout.sender);
const numberOf = (bytes: Buffer, start: number): number => readHex(bytes, start + Layout.number);

export const textPayload: PayloadFormat = {
	bytesMin: Layout.filler + Layout.endBytes,
	write: (bytes, sender, number, sentMs) => {
		const sentUs = Math.round(sentMs * 1000);
		const head = `"${magic}${hex(sender)}${hex(number)}${hex(bytes)}${hex(Math.floor(sentUs / u32))}${hex(sentUs % u32)}`;
		return Buffer.from(`${head.padEnd(bytes - Layout.endBytes, filler)}${hex(checksum(sender, number, bytes))}"`, "latin1");
	},
	isPayload: (bytes, start, end) => {
		const length = end - start;
		if (length < Layout.filler + Layout.endBytes || bytes[start] !== quote || bytes[end - 1] !== quote) return false;
		for (let index = 0; index < magic.length; index++) if (bytes[start + Layout.magic + index] !== magic.charCodeAt(index)) return false;
		return (
			readHex(bytes, start + Layout.bytes) === length &&
			readHex(bytes, end - Layout.endBytes) === checksum(senderOf(bytes, start), numberOf(bytes, start), length)
		);
	},
	senderOf,
	numberOf,
	sentMsOf: (bytes, start) => (readHex(bytes, start + Layout.sent) * u32 + readHex(bytes, start + Layout.sent + 8)) / 1000,
};
