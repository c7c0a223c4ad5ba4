import { createHash, timingSafeEqual } from "node:crypto";

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** Compares two secrets in a time that tells nothing about either, their lengths included. */
export function secretMatches(given: string, expected: string): boolean {
	return timingSafeEqual(digest(given), digest(expected));
}

/** An address of this machine itself, as a socket gives it: IPv4, IPv6, or IPv4 mapped into IPv6. */
export function isLoopback(address: string): boolean {
	return (
		/^(::ffff:)?127\./i.test(address) || address === "::1" || /^(0{1,4}:){7}0{0,3}1$/.test(address) || /^(0000:){5}ffff:7f/i.test(address)
	);
}

/**
 * Whether a request may see the console: with `--console-token` set it must carry the token; without one it must come from
 * this machine.
 */
export function mayUseConsole(remoteAddress: string, given: string | null, token: string | undefined): boolean {
	return token === undefined ? isLoopback(remoteAddress) : given !== null && secretMatches(given, token);
}
