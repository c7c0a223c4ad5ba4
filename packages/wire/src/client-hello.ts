/** The parts of a TLS connection's first message that are needed before decryption. */
type ClientHello =
	| { readonly status: "incomplete" }
	/** The connection does not begin with TLS. */
	| { readonly status: "other" }
	/** `serverName` requested by the client (SNI), as sent; null = none. */
	| { readonly status: "complete"; readonly serverName: string | null };

const recordHeadBytes = 5;
const recordBytesMax = 16_384;
/** Longest first record with its head. */
export const clientHelloBytesMax = recordHeadBytes + recordBytesMax;

const handshakeRecord = 22;
const clientHelloMessage = 1;
const serverNameExtension = 0;
const hostName = 0;
/** Length of the longest DNS name. */
const nameBytesMax = 255;

const incomplete: ClientHello = { status: "incomplete" };
const other: ClientHello = { status: "other" };
const unnamed: ClientHello = { status: "complete", serverName: null };

/**
 * Reads the first record of a connection. It leaves it to the TLS library to refuse invalid messages. A message in several records, which no known client
 * sends, counts as one without a server name.
 * @param length number of valid bytes in `bytes`.
 */
export function readClientHello(bytes: Uint8Array, length: number): ClientHello {
	if (length > 0 && bytes[0] !== handshakeRecord) return other;
	if (length > 1 && bytes[1] !== 3) return other;
	if (length < recordHeadBytes) return incomplete;
	const record = u16(bytes, 3);
	if (record < 4 || record > recordBytesMax) return other;
	if (length > recordHeadBytes && bytes[recordHeadBytes] !== clientHelloMessage) return other;
	const end = recordHeadBytes + record;
	if (length < end) return incomplete;
	const serverName = serverNameIn(bytes, end);
	return serverName === null ? unnamed : { status: "complete", serverName };
}

/** The server name; null if there is none, or the message is malformed. */
function serverNameIn(bytes: Uint8Array, end: number): string | null {
	// Message type and length, version, random; then three fields of any length.
	let at = recordHeadBytes + 4 + 2 + 32;
	if (at + 1 > end) return null;
	at += 1 + bytes[at]!;
	if (at + 2 > end) return null;
	at += 2 + u16(bytes, at);
	if (at + 1 > end) return null;
	at += 1 + bytes[at]!;
	if (at + 2 > end) return null;
	const extensionsEnd = Math.min(end, at + 2 + u16(bytes, at));
	at += 2;
	while (at + 4 <= extensionsEnd) {
		const type = u16(bytes, at);
		const next = at + 4 + u16(bytes, at + 2);
		if (next > extensionsEnd) return null;
		if (type === serverNameExtension) return hostNameIn(bytes, at + 4, next);
		at = next;
	}
	return null;
}

function hostNameIn(bytes: Uint8Array, start: number, end: number): string | null {
	if (start + 5 > end || bytes[start + 2] !== hostName) return null;
	const length = u16(bytes, start + 3);
	const at = start + 5;
	if (length === 0 || length > nameBytesMax || at + length > end) return null;
	let name = "";
	for (let i = at; i < at + length; i++) name += String.fromCharCode(bytes[i]!);
	return name;
}

function u16(bytes: Uint8Array, at: number): number {
	return (bytes[at]! << 8) | bytes[at + 1]!;
}
