import { proxyHeaderBytesMax, type Reply, readProxyHeader, refusal } from "@shardcast/http";
import { discard } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";
import { type Beginning, PeekedConnections, type PeekedConnectionsParts } from "./peeked-connections.ts";

export interface PrefixedConnectionsParts extends Pick<PeekedConnectionsParts, "full" | "timeoutMs" | "nowMs" | "onError"> {
	/** Whether a connection from this address may say whose it is. */
	readonly isTrusted: (peer: string) => boolean;
	/** Knows our own balancer by what its header shows; null = it does not connect here. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** Serves a connection for a client at this address; the descriptor is taken over. */
	readonly adopt: (descriptor: number, address: string) => void;
	readonly counters: Pick<Counters, "add">;
}

const carriageReturn = 0x0d;

/**
 * Connections that begin with a PROXY header (`--proxy-protocol`): takes the header off and hands on the rest with the address that the header
 * has. Nothing behind the header is read. From the balancer the whole header is there, and it was a trusted proxy's.
 */
export class PrefixedConnections extends PeekedConnections {
	constructor(parts: PrefixedConnectionsParts) {
		const { isTrusted, isProxy, counters } = parts;
		super({
			...parts,
			bytesMax: proxyHeaderBytesMax + 1,
			// Our own balancer is known by its header only.
			refuses: (peer) => (isTrusted(peer) || isProxy !== null ? null : refusal("proxy_header")),
			read: (bytes, length, peer, isChecked) => readPrefix(parts, bytes, length, peer, isChecked),
			late: refusal("head_timeout", "the PROXY header did not arrive in time"),
			refused: () => counters.add("refusedProxyHeader", 1),
		});
	}
}

function readPrefix(parts: PrefixedConnectionsParts, bytes: Buffer, length: number, peer: string, isChecked: boolean): Beginning {
	const { isTrusted, isProxy, adopt } = parts;
	const header = readProxyHeader(bytes, length);
	if (header.status === "incomplete" && !isChecked) return { kind: "incomplete" };
	const mayTell = isChecked || isTrusted(peer) || (header.status === "complete" && header.token !== "" && isProxy?.(header.token) === true);
	// A second header would be the client's.
	if (header.status !== "complete" || !mayTell || (length > header.bytes && bytes[header.bytes] === carriageReturn))
		return { kind: "refused", reply: notPrefixed };
	return {
		kind: "complete",
		take: (descriptor) => {
			discard(descriptor, header.bytes);
			adopt(descriptor, header.address ?? peer);
		},
	};
}

const notPrefixed: Reply = refusal("proxy_header");
