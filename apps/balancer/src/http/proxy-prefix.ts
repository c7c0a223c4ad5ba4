import { readProxyHeader } from "@shardcast/http";
import { because, type Refusal, Refusals } from "./refusal.ts";

/** What a connection begins with where a PROXY header is demanded. */
export type ProxyPrefix =
	| { readonly status: "incomplete" }
	| { readonly status: "refused"; readonly refusal: Refusal }
	/** `address` of the client; null = the connection's own. */
	| { readonly status: "complete"; readonly bytes: number; readonly address: string | null };

const incomplete: ProxyPrefix = { status: "incomplete" };

/** What each connection begins with where none is. */
export const noPrefix: ProxyPrefix & { readonly status: "complete" } = { status: "complete", bytes: 0, address: null };

/** Reads it. The header counts from a trusted proxy only. @param length of `bytes` so many have come. */
export function proxyPrefix(bytes: Uint8Array, length: number, isTrusted: boolean): ProxyPrefix {
	if (!isTrusted) return { status: "refused", refusal: Refusals.proxyHeader };
	const header = readProxyHeader(bytes, length);
	if (header.status === "incomplete") return incomplete;
	if (header.status === "complete") return { status: "complete", bytes: header.bytes, address: header.address };
	return {
		status: "refused",
		refusal: because(Refusals.proxyHeader, `this port takes connections with a PROXY header only: it ${header.problem}`),
	};
}
