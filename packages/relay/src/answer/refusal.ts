import { type ErrorCode, httpErrors, refusal, replyBytes } from "@shardcast/http";
import type { BalancerCounter } from "@shardcast/scoreboard";

/** A reason to refuse a connection: the code and message of the response, and its counter. */
export interface Refusal {
	readonly code: ErrorCode;
	readonly message: string;
	readonly counter: BalancerCounter;
}

export const Refusals = {
	badRequest: counted("bad_request", "refusedBadRequest"),
	noTls: counted("tls_required", "refusedBadRequest"),
	oldVersion: counted("http_version_not_supported", "refusedBadRequest"),
	forbidden: counted("origin_not_allowed", "refusedForbidden"),
	headTimeout: counted("head_timeout", "refusedHeadTimeout"),
	headTooLong: counted("head_too_long", "refusedHeadTooLong"),
	full: counted("cluster_full", "refusedBusy"),
	noNode: counted("no_node", "refusedBusy"),
	noShard: counted("no_shard_serves", "refusedBusy"),
	behind: counted("shards_behind", "refusedBusy"),
	stopping: counted("shutting_down", "refusedBusy"),
	connection_rate: counted("connection_rate", "refusedRate"),
	connection_rate_per_ip: counted("connection_rate_per_ip", "refusedRatePerIp"),
	proxyHeader: counted("proxy_header", "refusedProxyHeader"),
	overloaded: counted("overloaded", "refusedOverloaded"),
	descriptors: counted("balancer_full", "refusedBusy"),
} as const satisfies Readonly<Record<string, Refusal>>;

function counted(code: ErrorCode, counter: BalancerCounter): Refusal {
	return { code, message: httpErrors[code].message, counter };
}

/** The same refusal with a more specific message. */
export function withMessage(refusal: Refusal, message: string): Refusal {
	return { ...refusal, message };
}

/** For a connection whose head is incomplete, when no descriptors are left. */
export const displaced = withMessage(Refusals.headTimeout, "the request head did not arrive, and others need this connection's place");

/**
 * The complete response, after which the connection is closed.
 * @param isHead the request is a HEAD, as far as is known: then the answer has no body.
 */
export function refusalAnswer({ code, message }: Refusal, isHead: boolean): Buffer {
	return replyBytes(refusal(code, message), isHead);
}
