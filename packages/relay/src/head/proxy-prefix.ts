import { readProxyHeader } from "@shardcast/http";
import { type Refusal, Refusals, withMessage } from "../answer/refusal.ts";

/** The start of a connection on a port that requires a PROXY header. */
export type ProxyPrefix =
	| { readonly status: "incomplete" }
	| { readonly status: "refused"; readonly refusal: Refusal }
	/** `address` of the client; null = that of the connection. */
	| { readonly status: "complete"; readonly bytes: number; readonly address: string | null };

const incomplete: ProxyPrefix = { status: "incomplete" };

/** The start of a connection on a port without PROXY headers. */
export const noPrefix: ProxyPrefix & { readonly status: "complete" } = { status: "complete", bytes: 0, address: null };

/** Reads the start of a connection. Only trusted proxies may send a header. @param length number of valid bytes in `bytes`. */
export function proxyPrefix(bytes: Uint8Array, length: number, isTrusted: boolean): ProxyPrefix {
	if (!isTrusted) return { status: "refused", refusal: Refusals.proxyHeader };
	const header = readProxyHeader(bytes, length);
	if (header.status === "incomplete") return incomplete;
	if (header.status === "complete") return { status: "complete", bytes: header.bytes, address: header.address };
	return {
		status: "refused",
		refusal: withMessage(Refusals.proxyHeader, `this port accepts only connections with a PROXY header: it ${header.problem}`),
	};
}
