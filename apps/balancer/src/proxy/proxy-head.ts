import type { HeadParser } from "../http/head.ts";

/** Header by which a shard knows that the forwarding headers beside it are the balancer's. Its value is the cluster's proxy token. */
export const proxyTokenHeader = "X-Shardcast-Proxy";

/** What the balancer says of itself, whatever the client said. */
const ownHeaders: ReadonlySet<string> = new Set(["x-forwarded-for", "x-real-ip", proxyTokenHeader.toLowerCase()]);

/**
 * The head as the shard gets it: the client's address appended to X-Forwarded-For and set as X-Real-IP, the token set.
 * All else stays byte for byte. `head` has parsed `bytes` to the end.
 */
export function proxyHead(bytes: Buffer, head: HeadParser, clientAddress: string, token: string): Buffer {
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
	const address = plainAddress(clientAddress);
	forwardedFor.push(address);
	kept.push(`X-Forwarded-For: ${forwardedFor.join(", ")}`, `X-Real-IP: ${address}`, `${proxyTokenHeader}: ${token}`, "", "");
	return Buffer.from(kept.join("\r\n"), "latin1");
}

/** An IPv4 client on a dual-stack socket shows as ::ffff:1.2.3.4. */
function plainAddress(address: string): string {
	return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}
