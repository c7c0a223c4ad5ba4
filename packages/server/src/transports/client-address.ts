import type { ForwardedAddress, TrustedProxies } from "@shardcast/http";

/** What a request says about the proxies on its way. Values are as sent, "" when absent. */
export interface ForwardedHead {
	/** X-Shardcast-Proxy: the cluster's secret token, if it came through the balancer. */
	readonly proxyToken: string;
	readonly realIp: string;
	/** The address in the connection's PROXY header; null = there was none. */
	readonly announced: string | null;
	/** All lines of X-Forwarded-For, in order and joined by commas. */
	readonly forwardedFor: string;
}

/** Who may report a client's address. */
export interface AddressTrust {
	/** Recognises the balancer by its token; null = there is none that forwards. */
	readonly isProxy: ((given: string) => boolean) | null;
	readonly trustedProxies: TrustedProxies;
}

/**
 * The client's address as reported by a proxy: the balancer in proxy mode, a PROXY header, or X-Forwarded-For of one of `--trusted-proxies`. Null = the
 * connection's address is the client's. Anybody can write these headers, so X-Real-IP counts only with the balancer's token, and X-Forwarded-For only
 * from trusted addresses.
 * @param peer returns the address that the connection comes from. Called only if needed.
 */
export function forwardedAddress(
	head: ForwardedHead,
	peer: () => string,
	{ isProxy, trustedProxies }: AddressTrust,
): ForwardedAddress | null {
	if (isProxy !== null) {
		const { proxyToken } = head;
		if (proxyToken !== "" && isProxy(proxyToken)) return head.realIp === "" ? null : { address: head.realIp, byBalancer: true };
	}
	const { announced } = head;
	if (trustedProxies.isEmpty) return announced === null ? null : { address: announced, byBalancer: false };
	const from = announced ?? peer();
	const address = trustedProxies.client(from, () => head.forwardedFor);
	return announced === null && address === from ? null : { address, byBalancer: false };
}
