import { createHmac } from "node:crypto";
import { isIP } from "node:net";
import { canonicalAddress, secretMatches } from "@shardcast/http";

/** What a backend says about itself in a datagram. */
export interface Announcement {
	/** The address of the backend; null = the one that the datagram comes from. In its canonical form. */
	readonly host: string | null;
	/** As written, which is what is signed. */
	readonly hostText: string;
	readonly port: number;
	/** For people: up to 64 characters, none of which controls a terminal. */
	readonly name: string;
	/** Milliseconds since 1970. */
	readonly timeMs: number;
	readonly nonce: string;
	/** The backend goes, and is to be forgotten at once. */
	readonly isLeaving: boolean;
	/** Hexadecimal digits; "" = it is not signed. */
	readonly signature: string;
}

/** Largest datagram; larger ones are refused unread. */
export const announcementBytesMax = 1024;
/** Length of a name, in UTF-16 units. */
const nameMax = 64;
const noncePattern = /^[\w-]{16,64}$/;
const signaturePattern = /^[\da-f]{64}$/;
const format = { shardcast: "backend", version: 1 } as const;
const fields = new Set(["shardcast", "version", "host", "port", "name", "time", "nonce", "leaving", "signature"]);

/** Why a datagram is no announcement. */
export type AnnouncementProblem = "oversized" | "malformed" | "other_version";

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a datagram. Strict, so that no two programs can read the same bytes as two different announcements: UTF-8 without a byte order mark, one
 * flat object, no name twice, no names but those of version 1, numbers as whole numbers.
 */
export function parseAnnouncement(datagram: Uint8Array): Announcement | AnnouncementProblem {
	if (datagram.length > announcementBytesMax) return "oversized";
	let json: string;
	let value: unknown;
	try {
		json = text.decode(datagram);
		value = JSON.parse(json);
	} catch {
		return "malformed";
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) return "malformed";
	const given = value as Record<string, unknown>;
	if (given.shardcast !== format.shardcast) return "malformed";
	if (Number.isSafeInteger(given.version) && given.version !== format.version) return "other_version";
	const names = Object.keys(given);
	// JSON.parse keeps the last of two equal names, other parsers the first.
	if (countNames(json) !== names.length || names.some((each) => !fields.has(each))) return "malformed";
	const { version, host: hostText = "", port, name = "", time = 0, nonce = "", leaving = false, signature = "" } = given;
	if (version !== format.version) return "malformed";
	if (typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65_535) return "malformed";
	if (typeof name !== "string" || name.length > nameMax || /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(name)) return "malformed";
	if (typeof time !== "number" || !Number.isSafeInteger(time) || time < 0) return "malformed";
	if (typeof nonce !== "string" || (nonce !== "" && !noncePattern.test(nonce))) return "malformed";
	if (typeof leaving !== "boolean") return "malformed";
	if (typeof signature !== "string" || (signature !== "" && !signaturePattern.test(signature))) return "malformed";
	if (typeof hostText !== "string") return "malformed";
	const host = hostText === "" ? null : backendHost(hostText);
	if (hostText !== "" && host === null) return "malformed";
	return { host, hostText, port, name, timeMs: time, nonce, isLeaving: leaving, signature };
}

/** The canonical form of an address that a backend can have: not a name, no network device, no address that stands for several machines. */
function backendHost(host: string): string | null {
	if (host.length > 45 || isIP(host) === 0 || host.includes("%")) return null;
	const canonical = canonicalHost(host);
	return /^(0|22[4-9]|2[345]\d)\.|^::$|^ff/.test(canonical) ? null : canonical;
}

/** One form of each address: sockets and people write IPv6 addresses, and IPv4 addresses in IPv6, in several ways. */
export function canonicalHost(host: string): string {
	return canonicalAddress(host).replace(/^\[|\]$/g, "");
}

/** How many names the objects in this JSON have. @param json valid: a string that a colon follows is a name. */
function countNames(json: string): number {
	let names = 0;
	for (const [, colon] of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) if (colon !== undefined) names++;
	return names;
}

/**
 * What is signed: the values, one per line, as UTF-8. No value can contain a line break, so no two announcements have the same text. `host` is
 * as written in the announcement, and empty if it has none.
 */
export function signedText(of: Pick<Announcement, "hostText" | "port" | "name" | "timeMs" | "nonce" | "isLeaving">): string {
	const values = [of.hostText, of.port, of.name, of.timeMs, of.nonce, of.isLeaving];
	return ["shardcast backend 1", ...values].join("\n");
}

/** The signature that an announcement has with this secret: HMAC-SHA256 of `signedText`, as hexadecimal digits. */
export function signatureOf(announcement: Parameters<typeof signedText>[0], secret: string): string {
	return createHmac("sha256", secret).update(signedText(announcement), "utf8").digest("hex");
}

/** Compares in constant time: how long it takes says nothing about how much of the signature is right. */
export function isSignedBy(announcement: Announcement, secret: string): boolean {
	return secretMatches(announcement.signature, signatureOf(announcement, secret));
}
