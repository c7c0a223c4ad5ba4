/** What a request says about the proxy that it came through. Values are as sent, "" when absent. */
export interface ForwardedHead {
	/** X-Shardcast-Proxy: the cluster's secret token, when it was our balancer. */
	readonly proxyToken: string;
	readonly realIp: string;
}

/**
 * The client's address as our own balancer told it in proxy mode; null when the request did not come through it. Anybody can
 * write X-Real-IP, only the balancer knows the token. X-Forwarded-For is not looked at: its first entries are the client's.
 */
export function proxiedAddress(head: ForwardedHead, isToken: ((given: string) => boolean) | null): string | null {
	if (isToken === null || head.proxyToken === "" || !isToken(head.proxyToken)) return null;
	return head.realIp || null;
}
