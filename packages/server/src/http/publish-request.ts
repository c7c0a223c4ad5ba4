import { isUtf8 } from "node:buffer";
import { type ChannelList, channelList, RecordKind } from "@shardcast/wire";
import { type JsonSpan, JsonSyntaxError, scanJson } from "./json-scanner.ts";

/** What a publish over HTTP asks for. */
export interface PublishRequest {
	readonly kind: RecordKind;
	readonly channels: ChannelList;
	readonly payload: Uint8Array;
}

/** A request that cannot be understood; the message says why. */
export class PublishRequestError extends Error {
	override readonly name = "PublishRequestError";
}

/**
 * Reads the body of `POST /api/publish`. `application/octet-stream` is a binary message for `?channel=`; anything else must be
 * JSON `{"channel"?: string, "data": any}`: a string goes out as that text, any other value byte for byte as it stands in the body.
 *
 * A key that is not known is refused: a misspelt `channel` would send the message to everybody. Of a key that is there twice the last
 * counts, as everywhere in JavaScript. The payload may lie in `body`.
 * @throws PublishRequestError
 */
export function parsePublish(contentType: string, query: string, body: Uint8Array): PublishRequest {
	if (/^application\/octet-stream\s*(;|$)/i.test(contentType.trim())) {
		const channels = channelsFrom(new URLSearchParams(query).getAll("channel"));
		return { kind: RecordKind.binary, channels, payload: body };
	}
	const { channel, data } = envelope(withoutByteOrderMark(body));
	return { kind: RecordKind.text, channels: channelsFrom(channel === null ? [] : [channel]), payload: data };
}

function envelope(body: Uint8Array): { readonly channel: string | null; readonly data: Uint8Array } {
	const { channel, data } = members(body);
	if (data === null) throw new PublishRequestError('"data" is missing');
	if (channel !== null && body[channel.start] !== quote) throw new PublishRequestError('"channel" must be a string');
	return { channel: channel === null ? null : wellFormed("channel", textOf(body, channel)), data: payloadOf(body, data) };
}

function members(body: Uint8Array): { readonly channel: JsonSpan | null; readonly data: JsonSpan | null } {
	if (!isUtf8(body)) throw new PublishRequestError("the body is not JSON: it is not UTF-8");
	const found: { channel: JsonSpan | null; data: JsonSpan | null } = { channel: null, data: null };
	try {
		const isObject = scanJson(body, (key, value) => {
			if (isWritten(body, key, dataKey)) found.data = value;
			else if (isWritten(body, key, channelKey)) found.channel = value;
			else found[known(textOf(body, key))] = value;
		});
		if (isObject) return found;
	} catch (error) {
		if (!(error instanceof JsonSyntaxError)) throw error;
		throw new PublishRequestError(`the body is not JSON: ${error.message}`);
	}
	throw new PublishRequestError('the body must be an object such as {"channel": "news", "data": "hello"}');
}

/** As it is nearly always written, without an escape: so it need not be decoded. */
function isWritten(body: Uint8Array, { start, end }: JsonSpan, key: Uint8Array): boolean {
	if (end - start !== key.length) return false;
	for (let at = 0; at < key.length; at++) if (body[start + at] !== key[at]) return false;
	return true;
}

function known(key: string): "channel" | "data" {
	if (key === "channel" || key === "data") return key;
	throw new PublishRequestError(`"${key.slice(0, 40)}" is not known here; "channel" and "data" are`);
}

function payloadOf(body: Uint8Array, { start, end }: JsonSpan): Uint8Array {
	if (body[start] !== quote) return body.subarray(start, end);
	const inner = body.subarray(start + 1, end - 1);
	return inner.includes(backslash) ? Buffer.from(wellFormed("data", textOf(body, { start, end }))) : inner;
}

/** A lone surrogate has no UTF-8: it would arrive as another character than was sent. */
function wellFormed(key: string, text: string): string {
	if (!text.isWellFormed()) throw new PublishRequestError(`"${key}" is not well-formed Unicode`);
	return text;
}

/** A JSON string, which the scanner has checked, as the text that it stands for. */
function textOf(body: Uint8Array, { start, end }: JsonSpan): string {
	const written = Buffer.from(body.buffer, body.byteOffset + start, end - start).toString();
	return written.includes("\\") ? (JSON.parse(written) as string) : written.slice(1, -1);
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

const channelKey = Buffer.from('"channel"');
const dataKey = Buffer.from('"data"');
const quote = 0x22;
const backslash = 0x5c;
