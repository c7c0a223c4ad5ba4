import { createHash, timingSafeEqual } from "node:crypto";
import type { HttpRequest } from "../routing/request.ts";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Compares two secrets. The time it takes reveals nothing about them, not even their lengths. */
export function secretMatches(given: string, expected: string): boolean {
	return timingSafeEqual(digest(given), digest(expected));
}

const loopbackIpv4 = /^127(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

/** Whether a socket's address is a loopback address: IPv4, IPv6, or IPv4 mapped into IPv6. */
export function isLoopback(address: string): boolean {
	return (
		loopbackIpv4.test(address.replace(/^::ffff:/i, "")) ||
		address === "::1" ||
		/^(0{1,4}:){7}0{0,3}1$/.test(address) ||
		/^(0{4}:){5}ffff:7f[\da-f]{2}:[\da-f]{4}$/i.test(address)
	);
}

/**
 * Whether a host name from a Host header or an origin means this machine, whatever a name server says: "localhost" or a literal address. Names
 * such as `127.evil.example` can point anywhere.
 * @param name in lower case; an IPv6 address in brackets.
 */
export function isLoopbackName(name: string): boolean {
	return name === "localhost" || name === "[::1]" || loopbackIpv4.test(name);
}

/** Who may use the console. */
export interface ConsoleRules {
	/** `--console-token`. */
	readonly token: string | undefined;
	/** Whether a token is required even from this machine. */
	readonly authRequired: boolean;
}

/**
 * Whether a request may use the console. With `--console-token` it must have the token. Without it the request must come from this machine, and
 * if authentication is required, nobody may.
 */
export function mayUseConsole(remoteAddress: string, given: string | null, { token, authRequired }: ConsoleRules): boolean {
	if (token !== undefined) return given !== null && secretMatches(given, token);
	return !authRequired && isLoopback(remoteAddress);
}

/** The console token of a request: `?token=` for pages and links, `Authorization: Bearer` for programs; null if it has none. */
export function consoleToken(request: Pick<HttpRequest, "query" | "header">): string | null {
	const given = new URLSearchParams(request.query).get("token");
	return given ?? /^Bearer (.+)$/i.exec(request.header("authorization"))?.[1] ?? null;
}
