import { validateHeaderValue } from "node:http";

/** All headers that one call forwards from a client, names included: servers often refuse requests with more than 16 KiB. */
export const forwardedBytesMax = 8192;

export interface HeaderRules {
	/** Names of the headers of a client's request that backends get, in lower case. */
	readonly ofRequest: readonly string[];
	/** Names of the forwarded headers from its connect command. */
	readonly emulated: readonly string[];
	/** Headers of each call, in lower case. Forwarded headers of the client take precedence. */
	readonly fixed: Readonly<Record<string, string>>;
}

type HeaderMap = ReadonlyMap<string, string>;

/** A client's headers that any backend may get, by name in lower case. */
export interface ClientHeaders {
	/** From its HTTP request. A proxy in front of the server can set and remove these. */
	readonly ofRequest: HeaderMap;
	/** From its connect command, because a page cannot set headers of a WebSocket: the client can write anything into them. */
	readonly emulated: HeaderMap;
	/** The headers are too long to be forwarded, and were not kept. */
	readonly areTooLong: boolean;
}

const empty: HeaderMap = new Map();
export const noHeaders: ClientHeaders = { ofRequest: empty, emulated: empty, areTooLong: false };
const tooLong: ClientHeaders = { ...noHeaders, areTooLong: true };

/** The headers with these names in the client's request. */
export function keptHeaders(names: ReadonlySet<string>, header: (name: string) => string): ClientHeaders {
	if (names.size === 0) return noHeaders;
	const ofRequest = new Map([...names].map((name) => [name, header(name)] as const).filter(([, value]) => value !== ""));
	return bytesOf(ofRequest) > forwardedBytesMax ? tooLong : { ...noHeaders, ofRequest };
}

/** Adds the headers of the connect command. @param given names as the client wrote them. */
export function withEmulated(headers: ClientHeaders, names: ReadonlySet<string>, given: HeaderMap): ClientHeaders {
	if (names.size === 0 || given.size === 0 || headers.areTooLong) return headers;
	const emulated = new Map(
		[...given].map(([name, value]) => [name.toLowerCase(), inBytes(value)] as const).filter(([name]) => names.has(name)),
	);
	return bytesOf(emulated) > forwardedBytesMax ? tooLong : { ...headers, emulated };
}

/**
 * The headers of a call for a client: only listed ones. A value that is not valid in a header is left out. Null = they are too long; the backend
 * must not decide from an incomplete set.
 */
export function forwardedHeaders(rules: HeaderRules, { ofRequest, emulated, areTooLong }: ClientHeaders): Record<string, string> | null {
	if (areTooLong) return null;
	const found = new Map<string, string>();
	for (const name of rules.emulated) add(found, name, emulated.get(name));
	for (const name of rules.ofRequest) add(found, name, ofRequest.get(name));
	return bytesOf(found) > forwardedBytesMax ? null : { ...rules.fixed, ...Object.fromEntries(found) };
}

function add(found: Map<string, string>, name: string, value: string | undefined): void {
	if (value !== undefined && value !== "" && isHeaderValue(name, value)) found.set(name, value);
}

/** Each byte of the UTF-8 as one character, as headers are sent. */
const inBytes = (text: string) => Buffer.from(text).toString("latin1");

function bytesOf(headers: HeaderMap): number {
	let bytes = 0;
	for (const [name, value] of headers) bytes += name.length + value.length;
	return bytes;
}

function isHeaderValue(name: string, value: string): boolean {
	try {
		validateHeaderValue(name, value);
		return true;
	} catch {
		// A line break, or another character that would end the header.
		return false;
	}
}
