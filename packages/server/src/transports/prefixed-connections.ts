import { proxyHeaderBytesMax, type Reply, readProxyHeader, refusal } from "@shardcast/http";
import { discard } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";
import { type Beginning, PeekedConnections, type PeekedConnectionsParts } from "./peeked-connections.ts";

export interface PrefixedConnectionsParts extends Pick<PeekedConnectionsParts, "full" | "timeoutMs" | "nowMs" | "onError"> {
	/** Whether connections from this address may have a PROXY header. */
	readonly isTrusted: (peer: string) => boolean;
	/** Recognises the balancer by the token in its header; null = it does not connect here. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** Serves a connection of a client at this address, and takes ownership of the descriptor. */
	readonly adopt: (descriptor: number, address: string) => void;
	readonly counters: Pick<Counters, "add">;
}

const carriageReturn = 0x0d;

/**
 * Connections that begin with a PROXY header (`--proxy-protocol`). Removes the header and passes the connection on with the address in it. Reads nothing
 * after the header. The balancer has already checked the header of its connections: it is complete and from a trusted proxy.
 */
export class PrefixedConnections extends PeekedConnections {
	constructor(parts: PrefixedConnectionsParts) {
		const { isTrusted, isProxy, counters } = parts;
		super({
			...parts,
			bytesMax: proxyHeaderBytesMax + 1,
			// The balancer can be recognised only by its header.
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
	// A second header would come from the client.
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
