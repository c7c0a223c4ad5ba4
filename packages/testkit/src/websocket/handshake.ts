import { createHash, randomBytes } from "node:crypto";

/** One key may serve many connections of a test client: its answer is then computed once. */
export interface HandshakeKey {
	readonly key: string;
	readonly accept: string;
}

export function handshakeKey(): HandshakeKey {
	const key = randomBytes(16).toString("base64");
	return { key, accept: acceptFor(key) };
}

export function acceptFor(key: string): string {
	return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

/** Bytes of the upgrade request. `path` carries the query. */
export function upgradeRequest(path: string, host: string, key: string, headers: Readonly<Record<string, string>> = {}): Buffer {
	const lines = [`GET ${path} HTTP/1.1`, `Host: ${host}`, "Upgrade: websocket", "Connection: Upgrade"];
	lines.push(`Sec-WebSocket-Key: ${key}`, "Sec-WebSocket-Version: 13");
	for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
	return Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
}

export interface ResponseHead {
	readonly status: number;
	/** Names in lower case; of a repeated one, the last. */
	readonly headers: ReadonlyMap<string, string>;
	/** Bytes up to and with the empty line. */
	readonly bytes: number;
}

const responseHeadBytesMax = 16_384;

/** The head at the beginning of `bytes[0 … length)`; null when its end is not there yet. @throws when it is no HTTP/1.1 or too long. */
export function parseResponseHead(bytes: Buffer, length: number): ResponseHead | null {
	const text = bytes.toString("latin1", 0, Math.min(length, responseHeadBytesMax));
	const end = text.indexOf("\r\n\r\n");
	if (end < 0) {
		if (length >= responseHeadBytesMax) throw new Error(`the answer's head is longer than ${responseHeadBytesMax} bytes`);
		return null;
	}
	const [first, ...lines] = text.slice(0, end).split("\r\n");
	const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1];
	if (status === undefined) throw new Error(`the answer is no HTTP/1.1: ${JSON.stringify(first.slice(0, 60))}`);
	const headers = new Map<string, string>();
	for (const line of lines) {
		const colon = line.indexOf(":");
		if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
	}
	return { status: Number(status), headers, bytes: end + 4 };
}
