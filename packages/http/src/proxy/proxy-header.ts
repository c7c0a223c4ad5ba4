import { isIPv4, isIPv6 } from "node:net";

/**
 * A header of the PROXY protocol, version 1 or 2. A load balancer sends it at the start of a connection to report the client's address. The
 * bytes after it are the client's.
 */
type ProxyHeader =
	| { readonly status: "incomplete" }
	/** `problem` completes the sentence "the PROXY header …". */
	| { readonly status: "wrong"; readonly problem: string }
	| {
			readonly status: "complete";
			/** Length of the header. */
			readonly bytes: number;
			/** Address of the client; null if the connection is the load balancer's own (LOCAL), or the address is unknown (UNKNOWN, UNSPEC). */
			readonly address: string | null;
			/** The token that shardcast's balancer shows to a shard; "" = none. */
			readonly token: string;
	  };

/** Longest header accepted. Load balancers may add some hundred bytes about TLS. */
export const proxyHeaderBytesMax = 4096;

const line = Buffer.from("PROXY ");
/** Longest line of version 1, including CR LF. */
const lineBytesMax = 107;
const signature = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const fixedBytes = 16;
/** Bytes of the two addresses and ports, by address family. */
const Family = { unspecified: 0, ipv4: 1, ipv6: 2, unix: 3 } as const;
const addressesBytes = [0, 12, 36, 216] as const;
/** Types from 0xe0 on are for private use. */
const tokenType = 0xe0;

const incomplete: ProxyHeader = { status: "incomplete" };
const wrong = (problem: string): ProxyHeader => ({ status: "wrong", problem });
const noHeader = wrong("is missing");

/** Reads the header at the start of the received bytes. @param length number of valid bytes in `bytes`. */
export function readProxyHeader(bytes: Uint8Array, length: number): ProxyHeader {
	const come = Buffer.from(bytes.buffer, bytes.byteOffset, length);
	if (come.length === 0) return incomplete;
	if (come[0] === line[0]) return begins(come, line) ? readLine(come) : noHeader;
	return begins(come, signature) ? readBinary(come) : noHeader;
}

/** Whether the received bytes start with the word, or are a prefix of it. */
function begins(come: Buffer, word: Buffer): boolean {
	const length = Math.min(come.length, word.length);
	return come.compare(word, 0, length, 0, length) === 0;
}

function readLine(come: Buffer): ProxyHeader {
	const end = come.subarray(0, lineBytesMax).indexOf("\r\n");
	if (end < 0) return come.length < lineBytesMax ? incomplete : wrong(`has no end within ${lineBytesMax} bytes`);
	const [protocol, source, destination, ...ports] = come.toString("latin1", line.length, end).split(" ");
	const bytes = end + 2;
	// The rest of the line is ignored.
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
	// LOCAL: the connection is the load balancer's own, such as a health check. The rest of the header is ignored.
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

/** Reads the fields after the addresses: type, two bytes of length, value. Null = a field is truncated. */
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

/** A header of version 2 for a connection of this program's own (LOCAL), such as a health check. */
export function localProxyHeader(): Buffer {
	return Buffer.concat([signature, Buffer.from([0x20, 0, 0, 0])]);
}

/**
 * Creates a header of version 2 with an address of 16 bytes.
 * @param source in network order. @param token of shardcast's balancer; "" = none.
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
