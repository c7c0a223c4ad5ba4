import type { ForwardedHead } from "../client-address.ts";
import { type Handshake, hasWord, type UpgradeHead } from "../upgrade-request.ts";
import type { HttpRequest } from "./sockets-native.ts";

/** Reads the head of a request that uWebSockets.js treats as an upgrade: it only checks for a GET with a key of 24 characters. */
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

/** Reads headers lazily, since without forwarding proxies none is needed. */
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

/** A list header, which may have several lines. The library returns the first, which usually contains the word. */
function listWith(request: HttpRequest, name: string, word: string): string {
	const first = request.getHeader(name);
	return hasWord(first, word) ? first : allLines(request, name);
}

/** The values of all lines of a header, joined by commas. */
function allLines(request: HttpRequest, name: string): string {
	const all: string[] = [];
	request.forEach((key, value) => {
		if (key === name) all.push(value);
	});
	return all.join(",");
}
