import { isIPv4, isIPv6 } from "node:net";

/**
 * The header of the PROXY protocol, version 1 or 2, with which a load balancer begins a connection: whose connection it is. What follows it
 * belongs to the client.
 */
export type ProxyHeader =
	| { readonly status: "incomplete" }
	/** `problem` completes the sentence "the PROXY header …". */
	| { readonly status: "wrong"; readonly problem: string }
	| {
			readonly status: "complete";
			/** Its length. */
			readonly bytes: number;
			/** Of the client; null = the connection is the load balancer's own (LOCAL), or it does not know (UNKNOWN, UNSPEC). */
			readonly address: string | null;
			/** What our own balancer shows to a shard; "" = nothing. */
			readonly token: string;
	  };

/** Longest header that is read: load balancers add some hundred bytes about TLS. */
export const proxyHeaderBytesMax = 4096;

const line = Buffer.from("PROXY ");
/** Of version 1, with its CR LF. */
const lineBytesMax = 107;
const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const fixedBytes = 16;
/** Bytes of both addresses and both ports, by address family. */
const Family = { unspecified: 0, ipv4: 1, ipv6: 2, unix: 3 } as const;
const addressesBytes = [0, 12, 36, 216] as const;
/** Types from 0xe0 on are free for a private use. */
const tokenType = 0xe0;

const incomplete: ProxyHeader = { status: "incomplete" };
const wrong = (problem: string): ProxyHeader => ({ status: "wrong", problem });
const noHeader = wrong("is missing");

/** Reads the header at the start of what has come. @param length of `bytes` so many have come. */
export function readProxyHeader(bytes: Uint8Array, length: number): ProxyHeader {
	const come = Buffer.from(bytes.buffer, bytes.byteOffset, length);
	if (come.length === 0) return incomplete;
	if (come[0] === line[0]) return begins(come, line) ? readLine(come) : noHeader;
	return begins(come, signature) ? readBinary(come) : noHeader;
}

/** Whether what has come is the word, or a part of it. */
function begins(come: Buffer, word: Buffer): boolean {
	const length = Math.min(come.length, word.length);
	return come.compare(word, 0, length, 0, length) === 0;
}

function readLine(come: Buffer): ProxyHeader {
	const end = come.subarray(0, lineBytesMax).indexOf("\r\n");
	if (end < 0) return come.length < lineBytesMax ? incomplete : wrong(`has no end within ${lineBytesMax} bytes`);
	const [protocol, source, destination, ...ports] = come.toString("latin1", line.length, end).split(" ");
	const bytes = end + 2;
	// Whatever follows it.
	if (protocol === "UNKNOWN") return { status: "complete", bytes, address: null, token: "" };
	const isAddress = protocol === "TCP4" ? isIPv4 : protocol === "TCP6" ? isIPv6 : null;
	if (isAddress === null) return wrong("is for neither TCP4 nor TCP6");
	if (!isAddress(source ?? "") || !isAddress(destination ?? "") || source!.includes("%")) return wrong("has no valid addresses");
	if (ports.length !== 2 || !ports.every(isPort)) return wrong("has no valid ports");
	return { status: "complete", bytes, address: source!, token: "" };
}

function isPort(text: string): boolean {
	return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function readBinary(come: Buffer): ProxyHeader {
	if (come.length < fixedBytes) return incomplete;
	const [version, command] = [come[12]! >> 4, come[12]! & 15];
	if (version !== 2) return wrong(`has the version ${version}`);
	if (command > 1) return wrong(`has the unknown command ${command}`);
	const length = come.readUInt16BE(14);
	const bytes = fixedBytes + length;
	if (bytes > proxyHeaderBytesMax) return wrong(`is longer than ${proxyHeaderBytesMax} bytes`);
	if (come.length < bytes) return incomplete;
	// The connection is the load balancer's own, a health check say: whatever else the header has does not count.
	if (command === 0) return { status: "complete", bytes, address: null, token: "" };
	const [family, transport] = [come[13]! >> 4, come[13]! & 15];
	if (family > Family.unix) return wrong(`has the unknown address family ${family}`);
	const known = family === Family.ipv4 || family === Family.ipv6;
	if (known && transport !== 1) return wrong("is not for TCP");
	const first = fixedBytes + addressesBytes[family as 0 | 1 | 2 | 3];
	if (first > bytes) return wrong("is too short for its addresses");
	const token = readToken(come.subarray(first, bytes));
	if (token === null) return wrong("has a field that is longer than the header");
	return { status: "complete", bytes, address: known ? readAddress(come, family) : null, token };
}

function readAddress(come: Buffer, family: number): string {
	if (family === Family.ipv4) return come.subarray(fixedBytes, fixedBytes + 4).join(".");
	return Array.from({ length: 8 }, (_, group) => come.readUInt16BE(fixedBytes + 2 * group).toString(16)).join(":");
}

/** Goes over the fields behind the addresses: a type, two bytes of length, a value. Null = one of them is cut off. */
function readToken(fields: Buffer): string | null {
	let token = "";
	for (let at = 0; at < fields.length; ) {
		if (at + 3 > fields.length) return null;
		const end = at + 3 + fields.readUInt16BE(at + 1);
		if (end > fields.length) return null;
		if (fields[at] === tokenType) token = fields.toString("latin1", at + 3, end);
		at = end;
	}
	return token;
}

/**
 * A header of version 2 with an address of 16 bytes.
 * @param source in network order. @param token shown by our own balancer; "" = none.
 */
export function proxyHeader(source: Uint8Array, token: string): Buffer {
	const fields = token === "" ? 0 : 3 + token.length;
	const header = Buffer.alloc(fixedBytes + addressesBytes[Family.ipv6] + fields);
	signature.copy(header);
	header[12] = 0x21;
	header[13] = 0x21;
	header.writeUInt16BE(header.length - fixedBytes, 14);
	header.set(source, fixedBytes);
	if (fields === 0) return header;
	const first = fixedBytes + addressesBytes[Family.ipv6];
	header[first] = tokenType;
	header.writeUInt16BE(token.length, first + 1);
	header.write(token, first + 3, "latin1");
	return header;
}
