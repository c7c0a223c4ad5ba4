import type { ForwardedHead } from "../client-address.ts";
import { type Handshake, hasWord, type UpgradeHead } from "../upgrade-request.ts";
import type { HttpRequest } from "./sockets-native.ts";

/** What the shard looks at in a request that uWebSockets.js takes for an upgrade: a GET with a key of 24 characters, and nothing else. */
export function upgradeHead(request: HttpRequest): UpgradeHead {
	return {
		query: request.getQuery() ?? "",
		origin: request.getHeader("origin"),
		host: request.getHeader("host"),
		subprotocols: request.getHeader("sec-websocket-protocol"),
		header: (name) => request.getHeader(name),
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

/** Asks the library only for what is looked at: where nobody forwards, that is nothing. */
export function forwardedHead(request: HttpRequest, announced: string | null): ForwardedHead {
	return {
		announced,
		get proxyToken() {
			return request.getHeader("x-shardcast-proxy");
		},
		get realIp() {
			return request.getHeader("x-real-ip");
		},
		get forwardedFor() {
			return allLines(request, "x-forwarded-for");
		},
	};
}

/** A header that is a list. It may come in several lines, of which the library gives the first; mostly the word is there. */
function listWith(request: HttpRequest, name: string, word: string): string {
	const first = request.getHeader(name);
	return hasWord(first, word) ? first : allLines(request, name);
}

/** The values of all lines of a header, with commas between them. */
function allLines(request: HttpRequest, name: string): string {
	const all: string[] = [];
	request.forEach((key, value) => {
		if (key === name) all.push(value);
	});
	return all.join(",");
}
