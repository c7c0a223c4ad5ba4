import { streamPaths } from "@shardcast/http";

/**
 * Parses the head of an HTTP/1 request in place: one pass, strict, resumable at any byte.
 *
 * The grammar is RFC 9112's without its leniences: CRLF only, no folded lines, no space before a colon, no control
 * characters, one Host, a target that is a path, at most one body length. It refuses whatever the balancer's and the shard's
 * parsers could read differently; `head-differential.process.test.ts` compares the two.
 * For most input that is not HTTP, such as a TLS hello or a binary protocol, the first byte is enough.
 */

/** `tooLong`: more lines than a shard accepts. The caller limits the number of bytes. */
export const HeadStatus = { incomplete: 0, complete: 1, malformed: 2, tooLong: 3 } as const;
export type HeadStatus = (typeof HeadStatus)[keyof typeof HeadStatus];

/** Methods are short; a longer first word means another protocol. */
const methodBytesMax = 32;

/** uWebSockets.js answers 431 to more than 98, and the balancer adds three when it proxies. */
const linesMax = 95;
/** More digits than the length of any body. */
const lengthDigitsMax = 15;
/** Length of a Sec-WebSocket-Key: 16 bytes in Base64. uWebSockets.js treats a GET with such a header as an upgrade. */
const keyBytes = 24;

const State = {
	method: 0,
	target: 1,
	version: 2,
	lineEnd: 3,
	lineStart: 4,
	name: 5,
	value: 6,
	headEnd: 7,
	targetStart: 8,
	done: 9,
	broken: 10,
} as const;

const Byte = { tab: 9, lf: 10, cr: 13, space: 32, comma: 44, slash: 47, colon: 58, question: 63 } as const;

const version = latin1("HTTP/1.");

/** The classes that each byte belongs to. */
const Class = { token: 1, target: 2, value: 4 } as const;
const classes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
	if (/^[\w!#$%&'*+.^`|~-]$/.test(String.fromCharCode(byte))) classes[byte] |= Class.token;
	if (byte > 0x20 && byte < 0x7f) classes[byte] |= Class.target;
	if (byte === Byte.tab || (byte >= 0x20 && byte !== 0x7f)) classes[byte] |= Class.value;
}

/** Whether the byte may be in a method or in the name of a header. */
export function isTokenByte(byte: number): boolean {
	return (classes[byte] & Class.token) !== 0;
}

/** In these states, a run of such bytes changes nothing. A tight loop skips it, twice as fast as the switch does byte by byte. */
const runs = new Uint8Array(State.done);
runs[State.method] = Class.token;
runs[State.target] = Class.target;
runs[State.name] = Class.token;
runs[State.value] = Class.value;

/** The few fields whose values the balancer needs; all others are only checked. */
const Field = { other: 0, host: 1, origin: 2, upgrade: 3, connection: 4, length: 5, coding: 6, key: 7, version: 8 } as const;
type Field = (typeof Field)[keyof typeof Field];
/** Indexed by the length of the name, since most other names differ in it. */
const fields: (readonly (readonly [Uint8Array, Field])[])[] = [];
for (const [name, field] of [
	["host", Field.host],
	["origin", Field.origin],
	["upgrade", Field.upgrade],
	["connection", Field.connection],
	["content-length", Field.length],
	["transfer-encoding", Field.coding],
	["sec-websocket-key", Field.key],
	["sec-websocket-version", Field.version],
] as const)
	fields[name.length] = [...(fields[name.length] ?? []), [latin1(name), field]];
for (let length = 0; length < fields.length; length++) fields[length] ??= [];

/**
 * Parses one head. Call it again with the same bytes and more after them, and it continues where it stopped; `reset` prepares it for another
 * head. Not shared: one parser per waiting connection. Offsets refer to the given bytes.
 */
export class HeadParser {
	status: HeadStatus = HeadStatus.incomplete;
	/** Length of the complete head, including its blank line. */
	bytes = 0;
	methodEnd = 0;
	targetStart = 0;
	targetEnd = 0;
	/** 0 or 1, of HTTP/1.x. */
	minorVersion = 0;
	/** Start of the Origin's value, without surrounding white space; -1 = no Origin. */
	originStart = -1;
	originEnd = -1;
	/** The same for Host. */
	hostStart = -1;
	hostEnd = -1;
	/** -1 = no Content-Length. */
	contentLength = -1;
	/** The body is chunked. */
	isChunked = false;
	/** Set as soon as the method is complete: the response has no body. */
	isHead = false;
	/** What is wrong with a malformed head. */
	problem = "";

	#state: number = State.method;
	#at = 0;
	/** Start of the current word or line. */
	#mark = 0;
	#field: Field = Field.other;
	#lines = 0;
	#upgrade = false;
	#connection = false;
	/** Whether the first key and the first version are valid, the only ones that a shard looks at. */
	#key: boolean | null = null;
	#version: boolean | null = null;
	#isGet = false;
	#isStream = false;

	/** It is a WebSocket upgrade that a shard will accept, so the connection will stay and needs room in a shard. */
	get isUpgrade(): boolean {
		return this.#isGet && this.#upgrade && this.#connection && this.#key === true && this.#version === true;
	}

	/** The request is for a WebSocket or a client's stream. The connection stays, so it needs room in a shard. */
	get isLasting(): boolean {
		return this.isUpgrade || this.#isStream;
	}

	/** @param bytes as parsed. */
	isMethod(bytes: Uint8Array, method: string): boolean {
		if (this.methodEnd !== method.length) return false;
		for (let at = 0; at < method.length; at++) if (bytes[at] !== method.charCodeAt(at)) return false;
		return true;
	}

	reset(): void {
		this.status = HeadStatus.incomplete;
		this.originStart = -1;
		this.originEnd = -1;
		this.hostStart = -1;
		this.hostEnd = -1;
		this.contentLength = -1;
		this.isChunked = false;
		this.isHead = false;
		this.problem = "";
		this.#state = State.method;
		this.#at = 0;
		this.#mark = 0;
		this.#lines = 0;
		this.#upgrade = false;
		this.#connection = false;
		this.#key = null;
		this.#version = null;
		this.#isGet = false;
		this.#isStream = false;
	}

	/** @param length how many bytes are valid; at least as many as in the previous call. */
	parse(bytes: Uint8Array, length: number): HeadStatus {
		let at = this.#at;
		let state = this.#state;
		while (at < length && state < State.done) {
			const run = runs[state];
			while (at < length && classes[bytes[at]] & run) at++;
			if (state === State.method && at > methodBytesMax) {
				state = this.#broken("the method is too long");
				break;
			}
			if (at === length) break;
			const byte = bytes[at];
			switch (state) {
				case State.method:
					if (byte === Byte.space && at > 0) {
						this.methodEnd = at;
						this.#isGet = this.isMethod(bytes, "GET");
						this.isHead = this.isMethod(bytes, "HEAD");
						this.targetStart = at + 1;
						state = this.isMethod(bytes, "CONNECT") ? this.#broken("CONNECT is for proxies") : State.targetStart;
					} else state = this.#broken("it does not start with a method");
					break;
				case State.targetStart:
					state = byte === Byte.slash ? State.target : this.#broken("the request target does not start with a slash");
					break;
				case State.target:
					if (byte === Byte.space) {
						this.targetEnd = at;
						this.#mark = at + 1;
						state = State.version;
					} else state = this.#broken("the request target contains an invalid character");
					break;
				case State.version: {
					const index = at - this.#mark;
					if (index < version.length) {
						if (byte !== version[index]) state = this.#broken("the version is not HTTP/1.0 or HTTP/1.1");
					} else if (index === version.length) {
						this.minorVersion = byte - 48;
						if (byte !== 48 && byte !== 49) state = this.#broken("the version is not HTTP/1.0 or HTTP/1.1");
					} else state = byte === Byte.cr ? State.lineEnd : this.#broken("something follows the version");
					break;
				}
				case State.lineEnd:
					state = byte === Byte.lf ? State.lineStart : this.#broken("a line does not end in CR LF");
					break;
				case State.lineStart:
					if (byte === Byte.cr) state = State.headEnd;
					else if (classes[byte] & Class.token) {
						this.#mark = at;
						state = ++this.#lines <= linesMax ? State.name : State.broken;
					} else state = this.#broken("a header line does not start with a name");
					break;
				case State.name:
					if (byte === Byte.colon) {
						this.#field = fieldAt(bytes, this.#mark, at);
						this.#mark = at + 1;
						state = State.value;
					} else state = this.#broken("a header name contains an invalid character");
					break;
				case State.value:
					if (byte === Byte.cr) {
						state = State.lineEnd;
						if (this.#field !== Field.other && !this.#take(bytes, at)) state = State.broken;
					} else state = this.#broken("a header value contains an invalid character");
					break;
				default:
					if (byte !== Byte.lf) state = this.#broken("a line does not end in CR LF");
					else if (this.hostStart < 0 && this.minorVersion === 1) state = this.#broken("there is no Host");
					else if (this.isUpgrade && (this.isChunked || this.contentLength > 0)) state = this.#broken("an upgrade must not have a body");
					else state = State.done;
			}
			at++;
		}
		this.#at = at;
		this.#state = state;
		if (state === State.done) {
			this.bytes = at;
			this.status = HeadStatus.complete;
			this.#isStream = isStreamPath(bytes, this.targetStart, this.targetEnd) && (this.#isGet || this.isMethod(bytes, "POST"));
		} else if (state === State.broken) this.status = this.#lines > linesMax ? HeadStatus.tooLong : HeadStatus.malformed;
		return this.status;
	}

	/** Stores what is needed of a field whose value ends at `end`; false when the field makes the head malformed. */
	#take(bytes: Uint8Array, end: number): boolean {
		let from = this.#mark;
		let to = end;
		while (from < to && isBlank(bytes[from])) from++;
		while (to > from && isBlank(bytes[to - 1])) to--;
		switch (this.#field) {
			case Field.host:
				if (this.hostStart >= 0) this.#broken("there is more than one Host");
				this.hostStart = from;
				this.hostEnd = to;
				break;
			case Field.origin:
				if (this.originStart >= 0) this.#broken("there is more than one Origin");
				this.originStart = from;
				this.originEnd = to;
				break;
			case Field.upgrade:
				this.#upgrade ||= hasWord(bytes, from, to, websocketWord);
				break;
			case Field.connection:
				this.#connection ||= hasWord(bytes, from, to, upgradeWord);
				break;
			case Field.length:
				if (this.contentLength >= 0) this.#broken("there is more than one Content-Length");
				else if (this.isChunked) this.#broken(twoLengths);
				this.contentLength = wholeNumber(bytes, from, to);
				if (this.contentLength < 0) this.#broken("the Content-Length is not a number of bytes");
				break;
			case Field.coding:
				if (this.isChunked) this.#broken("there is more than one Transfer-Encoding");
				else if (this.contentLength >= 0) this.#broken(twoLengths);
				else if (to - from !== chunkedWord.length || !equalsIgnoringCase(bytes, from, chunkedWord))
					this.#broken("the Transfer-Encoding is not chunked");
				this.isChunked = true;
				break;
			case Field.key:
				this.#key ??= to - from === keyBytes;
				break;
			default:
				this.#version ??= to - from === 2 && bytes[from] === 49 && bytes[from + 1] === 51;
		}
		return this.problem === "";
	}

	#broken(problem: string): typeof State.broken {
		this.problem = problem;
		return State.broken;
	}
}

const pathsOfStreams = streamPaths.map(latin1);
/** Common prefix of all stream paths, so that nearly all other requests cost one comparison. */
const streamPrefix = latin1("/connection/");

/** Whether the target is the path of a stream, with or without a query. */
function isStreamPath(bytes: Uint8Array, start: number, end: number): boolean {
	if (!startsWith(bytes, start, end, streamPrefix)) return false;
	return pathsOfStreams.some(
		(path) => startsWith(bytes, start, end, path) && (end - start === path.length || bytes[start + path.length] === Byte.question),
	);
}

function startsWith(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
	if (end - start < word.length) return false;
	for (let i = 0; i < word.length; i++) if (bytes[start + i] !== word[i]) return false;
	return true;
}

const twoLengths = "there is both a Content-Length and a Transfer-Encoding";
const websocketWord = latin1("websocket");
const upgradeWord = latin1("upgrade");
const chunkedWord = latin1("chunked");

function fieldAt(bytes: Uint8Array, start: number, end: number): Field {
	const length = end - start;
	if (length >= fields.length) return Field.other;
	for (const [name, field] of fields[length]) if (equalsIgnoringCase(bytes, start, name)) return field;
	return Field.other;
}

/** Whether a comma-separated list contains the word, ignoring case. */
function hasWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
	for (let from = start; from < end; ) {
		let comma = from;
		while (comma < end && bytes[comma] !== Byte.comma) comma++;
		let to = comma;
		while (from < to && isBlank(bytes[from])) from++;
		while (to > from && isBlank(bytes[to - 1])) to--;
		if (to - from === word.length && equalsIgnoringCase(bytes, from, word)) return true;
		from = comma + 1;
	}
	return false;
}

/** -1 when it is not a number, or a very large one. */
function wholeNumber(bytes: Uint8Array, start: number, end: number): number {
	if (start === end || end - start > lengthDigitsMax) return -1;
	let value = 0;
	for (let at = start; at < end; at++) {
		const digit = bytes[at] - 48;
		if (digit < 0 || digit > 9) return -1;
		value = value * 10 + digit;
	}
	return value;
}

/** `lower` must contain only a–z and dashes: for other characters, setting bit 5 would make different bytes equal. `bytes` has no control characters. */
function equalsIgnoringCase(bytes: Uint8Array, at: number, lower: Uint8Array): boolean {
	for (let i = 0; i < lower.length; i++) if ((bytes[at + i] | 0x20) !== lower[i]) return false;
	return true;
}

function isBlank(byte: number): boolean {
	return byte === Byte.space || byte === Byte.tab;
}

function latin1(text: string): Uint8Array {
	return Buffer.from(text, "latin1");
}
