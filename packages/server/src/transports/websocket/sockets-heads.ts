import type { ForwardedHead } from "../client-address.ts";
import { type Handshake, listIncludes, type UpgradeHead } from "../upgrade-request.ts";
import { compressionOffer } from "./compression-offer.ts";
import type { HttpRequest } from "./sockets-native.ts";

/** Reads the head of a request that uWebSockets.js treats as an upgrade: it only checks for a GET with a key of 24 characters. */
export function upgradeHead(request: HttpRequest): UpgradeHead {
	return {
		query: request.getQuery() ?? "",
		origin: request.getHeader("origin"),
		host: request.getHeader("host"),
		subprotocols: listHeader(request, "sec-websocket-protocol"),
		header: (name) => listHeader(request, name),
		joinedHeader: (name) => joinedHeader(request, name),
		...handshake(request),
	};
}

export function handshake(request: HttpRequest): Handshake {
	return {
		upgrade: listWith(request, "upgrade", "websocket"),
		connection: listWith(request, "connection", "upgrade"),
		version: request.getHeader("sec-websocket-version"),
		hasBody: hasBody(request),
	};
}

export function hasBody(request: HttpRequest): boolean {
	return !/^0*$/.test(request.getHeader("content-length")) || request.getHeader("transfer-encoding") !== "";
}

/**
 * How the request gives the length of its body. The library takes the first of several Content-Length, decodes chunks whatever Transfer-Encoding
 * says, and takes an empty line for none: a proxy in front could find the next request elsewhere. Costs a look at each header.
 */
export function bodyFraming(request: HttpRequest): "none" | "length" | "chunked" | "ambiguous" {
	let length: string | null = null;
	let coding: string | null = null;
	let isTwice = false;
	request.forEach((name, value) => {
		if (name === "content-length") {
			isTwice ||= length !== null;
			length = value;
		} else if (name === "transfer-encoding") {
			isTwice ||= coding !== null;
			coding = value;
		}
	});
	return isTwice ? "ambiguous" : framing(length, coding);
}

function framing(length: string | null, coding: string | null): "none" | "length" | "chunked" | "ambiguous" {
	if (coding !== null) return length === null && listIncludes(coding, "chunked") && !coding.includes(",") ? "chunked" : "ambiguous";
	if (length === null) return "none";
	return /^[0-9]+$/.test(length) ? "length" : "ambiguous";
}

export function forwardedHead(request: HttpRequest, announced: string | null): ForwardedHead {
	return new RequestForwardedHead(request, announced);
}

/** Reads headers lazily, since without forwarding proxies none is needed. A class: the getters of a literal are created for each request. */
class RequestForwardedHead implements ForwardedHead {
	readonly #request: HttpRequest;
	readonly announced: string | null;

	constructor(request: HttpRequest, announced: string | null) {
		this.#request = request;
		this.announced = announced;
	}

	get proxyToken(): string {
		return this.#request.getHeader("x-shardcast-proxy");
	}

	get realIp(): string {
		return this.#request.getHeader("x-real-ip");
	}

	get forwardedFor(): string {
		return allLines(this.#request, "x-forwarded-for");
	}
}

/** See `compressionOffer`. The first line usually has the offer. */
export function offeredCompression(request: HttpRequest): string {
	const name = "sec-websocket-extensions";
	const first = request.getHeader(name);
	return first === "" ? "" : compressionOffer(first) || compressionOffer(joinedHeader(request, name));
}

/** A list header, which may have several lines. The library returns the first, which usually contains the word. */
function listWith(request: HttpRequest, name: string, word: string): string {
	const first = request.getHeader(name);
	return listIncludes(first, word) ? first : allLines(request, name);
}

/** As `joinedHeader`, but "" if the first line is empty. Costs a look at each header only if there is one of this name. */
function listHeader(request: HttpRequest, name: string): string {
	return request.getHeader(name) === "" ? "" : joinedHeader(request, name);
}

/**
 * The values of all lines of a header, as one, each byte as a character. The first alone may be the client's, and a later one that of a proxy.
 * Costs a look at each header.
 */
export function joinedHeader(request: HttpRequest, name: string): string {
	const lines = linesOf(request, name);
	if (lines.length <= 1) return request.getHeader(name);
	// Unlike `getHeader`, the library's `forEach` decodes UTF-8.
	return lines.map((line) => Buffer.from(line).toString("latin1")).join(name === "cookie" ? "; " : ", ");
}

/** The values of all lines of a header, joined by commas. */
function allLines(request: HttpRequest, name: string): string {
	return linesOf(request, name).join(",");
}

function linesOf(request: HttpRequest, name: string): string[] {
	const lines: string[] = [];
	request.forEach((key, value) => {
		if (key === name) lines.push(value);
	});
	return lines;
}
