/**
 * The head of an HTTP/1 request, read from bytes that stay where they are: one pass, strict, resumable at any byte.
 *
 * The grammar is RFC 9112's without its leniences: CRLF only, no folded lines, no space before a colon, no control
 * characters, one Host. What two parsers could understand differently, the balancer's and the shard's, is refused here.
 * One byte is enough to tell most of what is not HTTP: a TLS hello, a binary protocol.
 */

export const HeadStatus = { incomplete: 0, complete: 1, malformed: 2 } as const;
export type HeadStatus = (typeof HeadStatus)[keyof typeof HeadStatus];

/** Methods are short; a longer first word is some other protocol. */
const methodBytesMax = 32;

const State = { method: 0, target: 1, version: 2, lineEnd: 3, lineStart: 4, name: 5, value: 6, headEnd: 7, done: 8, broken: 9 } as const;

const Byte = { tab: 9, lf: 10, cr: 13, space: 32, colon: 58 } as const;

const version = latin1("HTTP/1.");

/** What each byte may be part of. */
const Class = { token: 1, target: 2, value: 4 } as const;
const classes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
	if (/^[\w!#$%&'*+.^`|~-]$/.test(String.fromCharCode(byte))) classes[byte] |= Class.token;
	if (byte > 0x20 && byte < 0x7f) classes[byte] |= Class.target;
	if (byte === Byte.tab || (byte >= 0x20 && byte !== 0x7f)) classes[byte] |= Class.value;
}

/** In these states a run of such bytes changes nothing: it is skipped in a tight loop, twice as fast as byte by byte through the switch. */
const runs = new Uint8Array(State.done);
runs[State.method] = Class.token;
runs[State.target] = Class.target;
runs[State.name] = Class.token;
runs[State.value] = Class.value;

/** The few fields that the balancer looks at; all others are only checked. */
const Field = { other: 0, host: 1, origin: 2, upgrade: 3, connection: 4 } as const;
type Field = (typeof Field)[keyof typeof Field];
const fields: readonly (readonly [Uint8Array, Field])[] = [
	[latin1("host"), Field.host],
	[latin1("origin"), Field.origin],
	[latin1("upgrade"), Field.upgrade],
	[latin1("connection"), Field.connection],
];

/**
 * Parses one head. Give it the same bytes again with more behind them, and it goes on where it stopped; `reset` makes it
 * ready for another head. Not shared: one parser per connection that waits. Offsets are into the bytes given.
 */
export class HeadParser {
	status: HeadStatus = HeadStatus.incomplete;
	/** Length of the head with its blank line, once complete. */
	bytes = 0;
	methodEnd = 0;
	targetStart = 0;
	targetEnd = 0;
	/** 0 or 1, of HTTP/1.x. */
	minorVersion = 0;
	/** The Origin's value, without white space around it; -1 when there is none. */
	originStart = -1;
	originEnd = -1;
	/** One phrase, once malformed. */
	problem = "";

	#state: number = State.method;
	#at = 0;
	/** Where the word or line began that is being read. */
	#mark = 0;
	#field: Field = Field.other;
	#hosts = 0;
	#upgrade = false;
	#connection = false;

	/** Asks for a WebSocket: it will stay, and needs room in a shard. */
	get isUpgrade(): boolean {
		return this.#upgrade && this.#connection;
	}

	reset(): void {
		this.status = HeadStatus.incomplete;
		this.originStart = -1;
		this.originEnd = -1;
		this.problem = "";
		this.#state = State.method;
		this.#at = 0;
		this.#mark = 0;
		this.#hosts = 0;
		this.#upgrade = false;
		this.#connection = false;
	}

	/** @param length how many of `bytes` are there; at least as many as at the call before. */
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
						this.targetStart = at + 1;
						state = State.target;
					} else state = this.#broken("it does not begin with a method");
					break;
				case State.target:
					if (byte === Byte.space && at > this.targetStart) {
						this.targetEnd = at;
						this.#mark = at + 1;
						state = State.version;
					} else state = this.#broken("the request target is not one");
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
						state = State.name;
					} else state = this.#broken("a header line does not begin with a name");
					break;
				case State.name:
					if (byte === Byte.colon) {
						this.#field = fieldAt(bytes, this.#mark, at);
						this.#mark = at + 1;
						state = State.value;
					} else state = this.#broken("a header name has a character that it may not have");
					break;
				case State.value:
					if (byte === Byte.cr) {
						state = State.lineEnd;
						if (this.#field !== Field.other && !this.#take(bytes, at)) state = State.broken;
					} else state = this.#broken("a header value has a character that it may not have");
					break;
				default:
					if (byte !== Byte.lf) state = this.#broken("a line does not end in CR LF");
					else if (this.#hosts === 0 && this.minorVersion === 1) state = this.#broken("there is no Host");
					else state = State.done;
			}
			at++;
		}
		this.#at = at;
		this.#state = state;
		if (state === State.done) {
			this.bytes = at;
			this.status = HeadStatus.complete;
		} else if (state === State.broken) this.status = HeadStatus.malformed;
		return this.status;
	}

	/** Keeps what is needed of a field whose value ends at `end`; false when the field makes the head malformed. */
	#take(bytes: Uint8Array, end: number): boolean {
		let from = this.#mark;
		let to = end;
		while (from < to && isBlank(bytes[from])) from++;
		while (to > from && isBlank(bytes[to - 1])) to--;
		switch (this.#field) {
			case Field.host:
				if (++this.#hosts > 1) this.#broken("there is more than one Host");
				break;
			case Field.origin:
				if (this.originStart >= 0) this.#broken("there is more than one Origin");
				this.originStart = from;
				this.originEnd = to;
				break;
			case Field.upgrade:
				this.#upgrade ||= hasWord(bytes, from, to, websocketWord);
				break;
			default:
				this.#connection ||= hasWord(bytes, from, to, upgradeWord);
		}
		return this.problem === "";
	}

	#broken(problem: string): typeof State.broken {
		this.problem = problem;
		return State.broken;
	}
}

const websocketWord = latin1("websocket");
const upgradeWord = latin1("upgrade");

function fieldAt(bytes: Uint8Array, start: number, end: number): Field {
	for (const [name, field] of fields) if (end - start === name.length && equalsIgnoringCase(bytes, start, name)) return field;
	return Field.other;
}

/** Whether a comma-separated list holds the word, in any case. */
function hasWord(bytes: Uint8Array, start: number, end: number, word: Uint8Array): boolean {
	for (let at = start; at + word.length <= end; at++) {
		const before = at === start || isSeparator(bytes[at - 1]);
		const after = at + word.length === end || isSeparator(bytes[at + word.length]);
		if (before && after && equalsIgnoringCase(bytes, at, word)) return true;
	}
	return false;
}

/** `lower` holds letters a–z only: for others, setting bit 5 would compare unlike bytes as equal. */
function equalsIgnoringCase(bytes: Uint8Array, at: number, lower: Uint8Array): boolean {
	for (let i = 0; i < lower.length; i++) if ((bytes[at + i] | 0x20) !== lower[i]) return false;
	return true;
}

function isBlank(byte: number): boolean {
	return byte === Byte.space || byte === Byte.tab;
}

function isSeparator(byte: number): boolean {
	return isBlank(byte) || byte === 44;
}

function latin1(text: string): Uint8Array {
	return Buffer.from(text, "latin1");
}
