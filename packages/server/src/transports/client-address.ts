import type { ToldAddress, TrustedProxies } from "@shardcast/http";

/** What a request says about the proxies that it came through. Values are as sent, "" when absent. */
export interface ForwardedHead {
	/** X-Shardcast-Proxy: the cluster's secret token, when it was our balancer. */
	readonly proxyToken: string;
	readonly realIp: string;
	/** The address in the PROXY header with which the connection began; null = there was none. */
	readonly announced: string | null;
	/** All lines of X-Forwarded-For in their order, with commas between them. */
	readonly forwardedFor: string;
}

/** Whose word is taken for a client's address. */
export interface AddressTrust {
	/** Knows our own balancer by its token; null = nobody forwards. */
	readonly isProxy: ((given: string) => boolean) | null;
	readonly trustedProxies: TrustedProxies;
}

/**
 * The client's address as a proxy told it: our own balancer in proxy mode, a PROXY header, or
 * X-Forwarded-For of one of `--trusted-proxies`. Null = the connection's address is
 * the client's. Anybody can write these headers: X-Real-IP counts with the balancer's token only, X-Forwarded-For from trusted addresses only.
 * @param peer the address that the connection comes from; asked for only when it matters.
 */
export function toldAddress(head: ForwardedHead, peer: () => string, { isProxy, trustedProxies }: AddressTrust): ToldAddress | null {
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
