import { isUtf8 } from "node:buffer";
import type { MessageDetails } from "@shardcast/bus";
import {
	asJson,
	type ChannelList,
	channelList,
	everybody,
	isMessageType,
	isPriority,
	type JsonShape,
	type JsonSpan,
	JsonSyntaxError,
	type JsonVisitor,
	jsonText,
	messageTypeMax,
	RecordKind,
	scanJson,
	typedMessage,
} from "@shardcast/wire";

/** A message to publish over HTTP. */
export interface PublishRequest {
	readonly kind: RecordKind;
	readonly channels: ChannelList;
	/** May point into the request's body. */
	readonly payload: Uint8Array;
	/** Undefined = none. */
	readonly details?: MessageDetails | undefined;
}

/** The most messages in one request. */
export const batchMessagesMax = 1000;

/** A request that is invalid or too large; the message says why. */
export class PublishRequestError extends Error {
	override readonly name = "PublishRequestError";
	readonly code: "bad_request" | "too_large";

	constructor(message: string, code: "bad_request" | "too_large" = "bad_request") {
		super(message);
		this.code = code;
	}
}

export class NotJsonError extends PublishRequestError {
	constructor(why: string) {
		super(`the body is not JSON: ${why}`);
	}
}

/**
 * Reads the body of `POST /api/publish`: one message, or a list of them if it is a batch.
 *
 * - `application/octet-stream`: a binary message for `?channel=`.
 * - `application/x-ndjson`: a batch, one object per line.
 * - Anything else must be JSON: an object, or an array of objects, which is a batch.
 *
 * An object is `{"channel"?: string, "data": any, "tags"?: {…}, "idempotency_key"?: string, "delta"?: boolean, "skip_history"?: boolean,
 * "type"?: string, "priority"?: "normal" | "high"}`. A string as `data` is published as that text, any other value byte for byte as written;
 * `b64data` may replace `data`. With a `type`, the message is `{"type": …, "payload": …}`, with the data as written, or as JSON if it was Base64. An unknown key is refused,
 * since a misspelt `channel` would send the message to everybody. If a key occurs twice, the last one counts, as in JSON.parse.
 *
 * A batch is read as a whole: if one message is invalid, none is published.
 * @throws PublishRequestError
 */
export function parsePublish(contentType: string, query: string, body: Uint8Array): PublishRequest | readonly PublishRequest[] {
	const special = specialType.exec(contentType)?.[1]?.toLowerCase();
	if (special === "octet-stream") {
		const channels = channelsFrom(new URLSearchParams(query).getAll("channel"));
		return { kind: RecordKind.binary, channels, payload: body };
	}
	// If it were ignored, the message would have no channel and reach everybody.
	if (query !== "" && new URLSearchParams(query).has("channel"))
		throw new PublishRequestError(
			'the channel of JSON is a key of the body: {"channel": "news", "data": "hello"}; only application/octet-stream has it in the query',
		);
	const text = withoutByteOrderMark(body);
	if (!isUtf8(text)) throw new NotJsonError("it is not UTF-8");
	return special === undefined ? parseJson(text) : parseLines(text);
}

/**
 * Reads the request of `broadcast`: like an object of `parsePublish`, with `channels`, a list of names, instead of `channel`.
 * @throws PublishRequestError
 */
export function parseBroadcast(body: Uint8Array): { readonly names: readonly string[]; readonly message: PublishRequest } {
	const reader = new MessageReader(body, true);
	if (scanBody(body, reader) !== "object") throw new PublishRequestError("it must be an object");
	return { names: reader.names(), message: reader.message() };
}

const specialType = /^\s*application\/(octet-stream|x-ndjson|ndjson)\s*(?:;|$)/i;

function parseJson(body: Uint8Array): PublishRequest | readonly PublishRequest[] {
	const reader = new MessageReader(body);
	const shape = scanBody(body, reader);
	if (shape === "object") return reader.message();
	if (shape === "array") return reader.batch();
	throw new PublishRequestError('the body must be an object such as {"channel": "news", "data": "hello"}, or an array of them');
}

/** Skips lines that contain only white space. */
function parseLines(body: Uint8Array): readonly PublishRequest[] {
	const reader = new MessageReader(body);
	for (let start = 0; start < body.length; ) {
		const newline = body.indexOf(lineFeed, start);
		const end = newline < 0 ? body.length : newline;
		if (afterBlanks(body, start, end) < end) reader.line(start, end);
		start = end + 1;
	}
	return reader.batch();
}

function scanBody(bytes: Uint8Array, visitor: JsonVisitor): JsonShape {
	return readJson(() => scanJson(bytes, visitor));
}

/** @throws PublishRequestError when it is not JSON. */
export function readJson<T>(read: () => T): T {
	try {
		return read();
	} catch (error) {
		if (!(error instanceof JsonSyntaxError)) throw error;
		throw new NotJsonError(error.message);
	}
}

/** Creates messages from the objects that a scan finds. */
class MessageReader implements JsonVisitor {
	readonly #body: Uint8Array;
	readonly #messages: PublishRequest[] = [];
	/** Channel lists by name, since many messages of a batch are for the same channel. */
	readonly #channels = new Map<string, ChannelList>();
	/** Where the scanned text starts in the body. */
	#offset = 0;
	#channel: JsonSpan | null = null;
	#data: JsonSpan | null = null;
	#tags: JsonSpan | null = null;
	#idempotencyKey: JsonSpan | null = null;
	#delta: JsonSpan | null = null;
	#skipHistory: JsonSpan | null = null;
	#base64: JsonSpan | null = null;
	#type: JsonSpan | null = null;
	#priority: JsonSpan | null = null;
	#names: JsonSpan | null = null;
	readonly #isBroadcast: boolean;
	/** The first unknown key. */
	#unknown: string | null = null;

	/** @param isBroadcast whether it has "channels" instead of "channel". */
	constructor(body: Uint8Array, isBroadcast = false) {
		this.#body = body;
		this.#isBroadcast = isBroadcast;
	}

	member(key: JsonSpan, value: JsonSpan): void {
		const offset = this.#offset;
		const name = this.#nameOf(offset === 0 ? key : { start: key.start + offset, end: key.end + offset });
		const span = offset === 0 ? value : { start: value.start + offset, end: value.end + offset };
		if (name === "data") this.#data = span;
		else if (name === "channel" && !this.#isBroadcast) this.#channel = span;
		else if (name === "channels" && this.#isBroadcast) this.#names = span;
		else if (name === "tags") this.#tags = span;
		else if (name === "idempotency_key") this.#idempotencyKey = span;
		else if (name === "delta") this.#delta = span;
		else if (name === "skip_history") this.#skipHistory = span;
		else if (name === "b64data") this.#base64 = span;
		else if (name === "type") this.#type = span;
		else if (name === "priority") this.#priority = span;
		else this.#unknown ??= name;
	}

	element(isObject: boolean): void {
		if (!isObject) throw this.#wrong(new PublishRequestError('it must be an object such as {"channel": "news", "data": "hello"}'));
		this.#add();
	}

	/** Reads a line of the body, which must be one object. */
	line(start: number, end: number): void {
		this.#offset = start;
		try {
			// Otherwise the elements of an array would count as messages.
			if (this.#body[afterBlanks(this.#body, start, end)] === openArray) this.element(false);
			if (scanJson(this.#body.subarray(start, end), this) !== "object") this.element(false);
		} catch (error) {
			throw error instanceof JsonSyntaxError ? this.#wrong(new PublishRequestError(`it is not JSON: ${error.message} of its line`)) : error;
		}
		this.#add();
	}

	/** All messages. */
	batch(): readonly PublishRequest[] {
		if (this.#messages.length === 0) throw new PublishRequestError("the batch has no message");
		return this.#messages;
	}

	/** The channels of a broadcast. */
	names(): readonly string[] {
		const span = this.#names;
		const names: unknown = span === null ? null : JSON.parse(textAt(this.#body, span));
		if (!Array.isArray(names) || names.length === 0 || names.some((name) => typeof name !== "string" || name === ""))
			throw new PublishRequestError('"channels" must be a list of names');
		for (const name of names as readonly string[]) channelsFrom([wellFormed("channels", name)]);
		return names as readonly string[];
	}

	/** The message whose members were just read. */
	message(): PublishRequest {
		const [channel, data, tags, key, delta] = [this.#channel, this.#data, this.#tags, this.#idempotencyKey, this.#delta];
		const [base64, skip] = [this.#base64, this.#skipHistory];
		const [type, priority] = [this.#type, this.#priority];
		const body = this.#body;
		this.#type = null;
		this.#priority = null;
		this.#base64 = null;
		this.#skipHistory = null;
		this.#channel = null;
		this.#data = null;
		this.#tags = null;
		this.#idempotencyKey = null;
		this.#delta = null;
		if (this.#unknown !== null) throw new PublishRequestError(`"${this.#unknown.slice(0, 40)}" is not known here; ${knownKeys} are`);
		if (data === null && base64 === null) throw new PublishRequestError('"data" is missing');
		if (channel !== null && body[channel.start] !== quote) throw new PublishRequestError('"channel" must be a string');
		const channels = channel === null ? everybody : this.#channelsOf(wellFormed("channel", jsonText(body, channel)));
		const details =
			tags === null && key === null && delta === null && skip === null && priority === null
				? undefined
				: {
						tags: tagsOf(body, tags),
						idempotencyKey: keyOf(body, key),
						...(isTrue("delta", body, delta) && { delta: true }),
						...(isTrue("skip_history", body, skip) && { skipHistory: true }),
						...(isHigh(body, priority) && { urgent: true }),
					};
		const decoded = base64 === null || isNull(body, base64) ? null : decodedFrom(body, base64);
		if (type !== null && !isNull(body, type) && (decoded ?? data) !== null) {
			const payload = decoded === null ? body.subarray(data!.start, data!.end) : asJson(decoded, RecordKind.binary);
			return { kind: RecordKind.text, channels, payload: typedMessage(typeOf(body, type), payload), details };
		}
		if (decoded !== null) return { kind: isUtf8(decoded) ? RecordKind.text : RecordKind.binary, channels, payload: decoded, details };
		if (data === null) throw new PublishRequestError('"data" is missing');
		return { kind: RecordKind.text, channels, payload: payloadOf(body, data), details };
	}

	#add(): void {
		if (this.#messages.length === batchMessagesMax)
			throw new PublishRequestError(`the batch has more than ${batchMessagesMax} messages`, "too_large");
		try {
			this.#messages.push(this.message());
		} catch (error) {
			throw error instanceof PublishRequestError ? this.#wrong(error) : error;
		}
	}

	#nameOf(key: JsonSpan): string {
		if (isWritten(this.#body, key, dataKey)) return "data";
		if (isWritten(this.#body, key, channelKey)) return "channel";
		return jsonText(this.#body, key);
	}

	#channelsOf(name: string): ChannelList {
		const known = this.#channels.get(name);
		if (known !== undefined) return known;
		const list = channelsFrom([name]);
		this.#channels.set(name, list);
		return list;
	}

	#wrong({ message, code }: PublishRequestError): PublishRequestError {
		return new PublishRequestError(`message ${this.#messages.length}: ${message}`, code);
	}
}

/** The first byte that is not white space; `end` if there is none. */
function afterBlanks(body: Uint8Array, start: number, end: number): number {
	let at = start;
	while (at < end && (body[at] === 0x20 || body[at] === 0x09 || body[at] === 0x0d)) at++;
	return at;
}

/** @throws PublishRequestError when it is neither true nor false. */
function isTrue(key: string, body: Uint8Array, span: JsonSpan | null): boolean {
	if (span === null || isNull(body, span)) return false;
	const text = span.end - span.start <= 5 ? textAt(body, span) : "";
	if (text !== "true" && text !== "false") throw new PublishRequestError(`"${key}" must be true or false`);
	return text === "true";
}

/** @throws PublishRequestError for another priority. */
export function isHigh(body: Uint8Array, span: JsonSpan | null): boolean {
	if (span === null || isNull(body, span)) return false;
	const priority = span.end - span.start <= 8 && body[span.start] === quote ? jsonText(body, span) : "";
	if (!isPriority(priority)) throw new PublishRequestError('"priority" must be "normal" or "high"');
	return priority === "high";
}

/** @throws PublishRequestError for an invalid type. */
export function typeOf(body: Uint8Array, span: JsonSpan): string {
	const type = body[span.start] === quote ? wellFormed("type", jsonText(body, span)) : "";
	if (!isMessageType(type)) throw new PublishRequestError(`"type" must be a string of 1 to ${messageTypeMax} characters`);
	return type;
}

/** Takes precedence over `data`. */
function decodedFrom(body: Uint8Array, span: JsonSpan): Uint8Array {
	const text = body[span.start] === quote ? jsonText(body, span) : "?";
	if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new PublishRequestError('"b64data" must be a string in Base64');
	return Buffer.from(text, "base64");
}

/** Compares a key in the usual spelling, without escapes, so that it need not be decoded. */
function isWritten(body: Uint8Array, { start, end }: JsonSpan, key: Uint8Array): boolean {
	if (end - start !== key.length) return false;
	for (let at = 0; at < key.length; at++) if (body[start + at] !== key[at]) return false;
	return true;
}

function payloadOf(body: Uint8Array, { start, end }: JsonSpan): Uint8Array {
	if (body[start] !== quote) return body.subarray(start, end);
	const inner = body.subarray(start + 1, end - 1);
	return inner.includes(backslash) ? Buffer.from(wellFormed("data", jsonText(body, { start, end }))) : inner;
}

/** A lone surrogate has no UTF-8 form, so a different character would arrive than was sent. */
export function wellFormed(key: string, text: string): string {
	if (!text.isWellFormed()) throw new PublishRequestError(`"${key}" is not well-formed Unicode`);
	return text;
}

function withoutByteOrderMark(body: Uint8Array): Uint8Array {
	return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body;
}

function channelsFrom(names: readonly string[]): ChannelList {
	try {
		return channelList(names);
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		throw new PublishRequestError(error.message);
	}
}

/** Null and "{}" mean no tags. */
function tagsOf(body: Uint8Array, span: JsonSpan | null): Readonly<Record<string, string>> | undefined {
	if (span === null || isNull(body, span)) return undefined;
	if (span.end - span.start > tagsBytesMax)
		throw new PublishRequestError(`"tags" are ${span.end - span.start} bytes; the most is ${tagsBytesMax}`, "too_large");
	const tags = body[span.start] === openObject ? (JSON.parse(textAt(body, span)) as Readonly<Record<string, unknown>>) : null;
	if (tags === null || Object.values(tags).some((value) => typeof value !== "string"))
		throw new PublishRequestError('"tags" must be an object of strings, such as {"ticker": "BTC"}');
	const pairs = Object.entries(tags as Readonly<Record<string, string>>);
	for (const [tag, value] of pairs) wellFormed("tags", tag + value);
	return pairs.length === 0 ? undefined : (tags as Readonly<Record<string, string>>);
}

/** Null and "" mean no key. */
function keyOf(body: Uint8Array, span: JsonSpan | null): string | undefined {
	if (span === null || isNull(body, span)) return undefined;
	if (body[span.start] !== quote) throw new PublishRequestError('"idempotency_key" must be a string');
	return wellFormed("idempotency_key", jsonText(body, span)) || undefined;
}

const isNull = (body: Uint8Array, { start }: JsonSpan): boolean => body[start] === letterN;
const textAt = (body: Uint8Array, { start, end }: JsonSpan): string =>
	Buffer.from(body.buffer, body.byteOffset + start, end - start).toString();

/** The most bytes of a message's tags, as JSON. */
export const tagsBytesMax = 8192;
const knownKeys = '"channel", "data", "b64data", "type", "priority", "tags", "idempotency_key", "delta" and "skip_history"';
const channelKey = Buffer.from('"channel"');
const dataKey = Buffer.from('"data"');
const quote = 0x22;
const openArray = 0x5b;
const openObject = 0x7b;
const letterN = 0x6e;
const lineFeed = 0x0a;
const backslash = 0x5c;
