import { proxyHeaderBytesMax, readProxyHeader, refusal } from "@shardcast/http";
import { discard } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";
import { PeekedConnections, type PeekedConnectionsParts, type PeekResult } from "./peeked-connections.ts";

interface PrefixedConnectionsParts extends Pick<PeekedConnectionsParts, "full" | "timeoutMs" | "nowMs" | "onError"> {
	/** Whether connections from this address may have a PROXY header. */
	readonly isTrusted: (peer: string) => boolean;
	/** Recognises the balancer by the token in its header; null = it does not connect here. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** Serves a connection of a client at this address, and takes ownership of the descriptor. */
	readonly adopt: (descriptor: number, address: string) => void;
	readonly counters: Pick<Counters, "add">;
}

/** How a second header begins: in version 1, which no request does, and in version 2. */
const secondHeaders = ["PROXY ", "\r"].map((text) => Buffer.from(text));
const secondBytesMax = 6;

/**
 * Connections that begin with a PROXY header (`--proxy-protocol`). Removes the header and passes the connection on with the address in it, once the
 * bytes after it show that the client has sent no header itself. The balancer has already checked the header of its connections: it is complete and from a trusted proxy.
 */
export class PrefixedConnections extends PeekedConnections {
	constructor(parts: PrefixedConnectionsParts) {
		const { isTrusted, isProxy, counters } = parts;
		super({
			...parts,
			bytesMax: proxyHeaderBytesMax + secondBytesMax,
			// The balancer can be recognised only by its header.
			refuses: (peer) => (isTrusted(peer) || isProxy !== null ? null : refusal("proxy_header")),
			read: (bytes, length, peer, isChecked) => readPrefix(parts, bytes, length, peer, isChecked),
			late: refusal("head_timeout", "the PROXY header did not arrive in time"),
			refused: () => counters.add("refusedProxyHeader", 1),
		});
	}
}

function readPrefix(parts: PrefixedConnectionsParts, bytes: Buffer, length: number, peer: string, isChecked: boolean): PeekResult {
	const { isTrusted, isProxy, adopt } = parts;
	const header = readProxyHeader(bytes, length);
	if (header.status === "incomplete" && !isChecked) return { kind: "incomplete" };
	if (header.status !== "complete") return notPrefixed;
	const isOurs = isChecked || (header.token !== "" && isProxy?.(header.token) === true);
	if (!isOurs && !isTrusted(peer)) return notPrefixed;
	// A second header would come from the client.
	const rest = bytes.subarray(header.bytes, Math.min(length, header.bytes + secondBytesMax));
	if (secondHeaders.some((start) => rest.length >= start.length && rest.indexOf(start) === 0)) return notPrefixed;
	// The balancer may connect before it has a request; it has checked what clients send.
	if (!isOurs && secondHeaders.some((start) => start.indexOf(rest) === 0)) return withoutRequest;
	return {
		kind: "complete",
		take: (descriptor) => {
			discard(descriptor, header.bytes);
			adopt(descriptor, header.address ?? peer);
		},
	};
}

const notPrefixed: PeekResult = { kind: "refused", reply: refusal("proxy_header") };
const withoutRequest: PeekResult = {
	kind: "incomplete",
	late: refusal("head_timeout", "no request arrived in time after the PROXY header"),
};
