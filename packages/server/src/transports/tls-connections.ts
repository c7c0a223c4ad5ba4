import { refusal } from "@shardcast/http";
import type { Counters } from "@shardcast/scoreboard";
import { clientHelloBytesMax, readClientHello } from "@shardcast/wire";
import { PeekedConnections, type PeekedConnectionsParts, type PeekResult } from "./peeked-connections.ts";

interface TlsConnectionsParts extends Pick<PeekedConnectionsParts, "full" | "timeoutMs" | "nowMs" | "onError"> {
	/** Serves a connection, and takes ownership of its descriptor. @param serverName requested by the client; null = none. */
	readonly adopt: (descriptor: number, serverName: string | null) => void;
	readonly counters: Pick<Counters, "add">;
}

const incomplete: PeekResult = { kind: "incomplete" };
const refused: PeekResult = { kind: "refused", reply: refusal("tls_required") };

/**
 * TLS connections. Reads the server name in the client's first message, to choose the certificate. Plain HTTP requests are refused in plain HTTP.
 */
export class TlsConnections extends PeekedConnections {
	constructor(parts: TlsConnectionsParts) {
		super({
			...parts,
			bytesMax: clientHelloBytesMax,
			refuses: () => null,
			read: (bytes, length) => {
				const hello = readClientHello(bytes, length);
				if (hello.status === "incomplete") return incomplete;
				if (hello.status === "other") return refused;
				return { kind: "complete", take: (descriptor) => parts.adopt(descriptor, hello.serverName) };
			},
			late: refusal("head_timeout", "the first message of the TLS handshake did not arrive in time"),
			refused: () => parts.counters.add("refusedNoTls", 1),
		});
	}
}
