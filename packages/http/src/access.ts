import { createHash, timingSafeEqual } from "node:crypto";
import type { HttpRequest } from "./request.ts";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Compares two secrets in a time that tells nothing about either, their lengths included. */
export function secretMatches(given: string, expected: string): boolean {
	return timingSafeEqual(digest(given), digest(expected));
}

const loopbackIpv4 = /^127(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}$/;

/** An address of this machine itself, as a socket gives it: IPv4, IPv6, or IPv4 mapped into IPv6. */
export function isLoopback(address: string): boolean {
	return (
		loopbackIpv4.test(address.replace(/^::ffff:/i, "")) ||
		address === "::1" ||
		/^(0{1,4}:){7}0{0,3}1$/.test(address) ||
		/^(0{4}:){5}ffff:7f[\da-f]{2}:[\da-f]{4}$/i.test(address)
	);
}

/**
 * Whether a host name, as a Host header or an origin has it, is this machine whatever a name server says: "localhost" or a literal
 * address. Anybody can have `127.evil.example` point anywhere.
 * @param name in lower case, an IPv6 address in its brackets.
 */
export function isLoopbackName(name: string): boolean {
	return name === "localhost" || name === "[::1]" || loopbackIpv4.test(name);
}

/** What the console is opened by. */
export interface ConsoleRules {
	/** `--console-token`. */
	readonly token: string | undefined;
	/** Whether it is closed without a token. */
	readonly authRequired: boolean;
}

/**
 * Whether a request may see the console: with `--console-token` set it must carry the token; without one it must come from
 * this machine, and where everybody must show who they are, nobody may.
 */
export function mayUseConsole(remoteAddress: string, given: string | null, { token, authRequired }: ConsoleRules): boolean {
	if (token !== undefined) return given !== null && secretMatches(given, token);
	return !authRequired && isLoopback(remoteAddress);
}

/** The console's token as a request shows it: `?token=` for pages and links, `Authorization: Bearer` for programs; null when it shows none. */
export function consoleToken(request: Pick<HttpRequest, "query" | "header">): string | null {
	const given = new URLSearchParams(request.query).get("token");
	return given ?? /^Bearer (.+)$/i.exec(request.header("authorization"))?.[1] ?? null;
}
