import { type ChannelList, channelList, RecordKind } from "@shardcast/wire";

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

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the body of `POST /api/publish`. `application/octet-stream` is a binary message for `?channel=`; anything else must be
 * JSON `{"channel"?: string, "data": any}`: a string goes out as that text, any other value as its JSON.
 *
 * A key that is not known is refused: a misspelt `channel` would send the message to everybody.
 * @throws PublishRequestError
 */
export function parsePublish(contentType: string, query: string, body: Uint8Array): PublishRequest {
	if (/^application\/octet-stream\s*(;|$)/i.test(contentType.trim())) {
		const channels = channelsFrom(new URLSearchParams(query).getAll("channel"));
		return { kind: RecordKind.binary, channels, payload: body };
	}
	const { channel, data } = parseJson(body);
	const text = typeof data === "string" ? data : JSON.stringify(data);
	return { kind: RecordKind.text, channels: channelsFrom(channel === undefined ? [] : [channel]), payload: Buffer.from(text) };
}

function parseJson(body: Uint8Array): { channel: string | undefined; data: unknown } {
	let value: unknown;
	try {
		value = JSON.parse(utf8.decode(body));
	} catch (error) {
		throw new PublishRequestError(`the body is no JSON: ${(error as Error).message}`);
	}
	if (typeof value !== "object" || value === null || Array.isArray(value))
		throw new PublishRequestError('the body must be an object such as {"channel": "news", "data": "hello"}');
	const unknown = Object.keys(value).find((key) => key !== "channel" && key !== "data");
	if (unknown !== undefined) throw new PublishRequestError(`"${unknown.slice(0, 40)}" is not known here; "channel" and "data" are`);
	const { channel, data } = value as { channel?: unknown; data?: unknown };
	if (!("data" in value)) throw new PublishRequestError('"data" is missing');
	if (channel !== undefined && typeof channel !== "string") throw new PublishRequestError('"channel" must be a string');
	// A lone surrogate has no UTF-8: it would arrive as another character than was sent.
	if (typeof data === "string" && !data.isWellFormed()) throw new PublishRequestError('"data" is no well-formed Unicode');
	return { channel, data };
}

function channelsFrom(names: readonly string[]): ChannelList {
	try {
		return channelList(names);
	} catch (error) {
		if (!(error instanceof RangeError)) throw error;
		throw new PublishRequestError(error.message);
	}
}
