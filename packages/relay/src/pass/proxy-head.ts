import { plainAddress } from "@shardcast/http";
import type { HeadParser } from "../head/head.ts";

/** With this header a shard knows that the forwarding headers come from the balancer. Its value is the cluster's proxy token. */
const proxyTokenHeader = "X-Shardcast-Proxy";

/**
 * Marks what a balancer has passed on to another machine, whose balancer keeps it there. It stays when there is an edge in between. Anybody may send it:
 * it decides nothing but that. In lower case, as requests are searched for it.
 */
export const passedOnHeader = "x-shardcast-passed-on";

/** Headers that a balancer sets itself; those of the client are removed. */
const ownHeaders: ReadonlySet<string> = new Set(["x-forwarded-for", "x-real-ip", proxyTokenHeader.toLowerCase()]);

/** What a target is told about a request. */
interface Forwarding {
	/** The address that the connection comes from. */
	readonly peer: string;
	/** The address of the client, which differs behind a trusted proxy. */
	readonly client: string;
	/** Null = the target is another machine, which believes X-Forwarded-For only. */
	readonly token: string | null;
	/** It must not pass the request on once more. */
	readonly isLastHop: boolean;
}

/**
 * Returns the head as the target gets it: with the peer's address appended to X-Forwarded-For, and for a shard the client's set as X-Real-IP, with the
 * token. Everything else stays byte for byte. `head` must have parsed all of `bytes`.
 */
export function proxyHead(bytes: Buffer, head: HeadParser, { peer, client, token, isLastHop }: Forwarding): Buffer {
	const lines = bytes.toString("latin1", 0, head.bytes - 4).split("\r\n");
	const forwardedFor: string[] = [];
	const kept = lines.filter((line, index) => {
		if (index === 0) return true;
		const colon = line.indexOf(":");
		const name = line.slice(0, colon).toLowerCase();
		if (!ownHeaders.has(name)) return true;
		const value = line.slice(colon + 1).trim();
		if (name === "x-forwarded-for" && value !== "") forwardedFor.push(value);
		return false;
	});
	forwardedFor.push(plainAddress(peer));
	kept.push(`X-Forwarded-For: ${forwardedFor.join(", ")}`);
	if (token !== null) kept.push(`X-Real-IP: ${plainAddress(client)}`, `${proxyTokenHeader}: ${token}`);
	if (isLastHop) kept.push(`${passedOnHeader}: 1`);
	kept.push("", "");
	return Buffer.from(kept.join("\r\n"), "latin1");
}
