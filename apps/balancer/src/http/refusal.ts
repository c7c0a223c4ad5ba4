import { shuttingDown } from "@shardcast/http";
import { connectionLimits } from "@shardcast/limits";
import type { BalancerCounter } from "@shardcast/scoreboard";

/** A way to turn a client away: the status line, the code and the sentence of the JSON body, the counter. */
export interface Refusal {
	readonly status: string;
	readonly code: string;
	readonly message: string;
	readonly counter: BalancerCounter;
	/** Seconds after which it is worth trying again; 0 = the same request would be refused again. */
	readonly retryAfterSeconds: number;
}

const unavailable = { status: "503 Service Unavailable", counter: "refusedBusy" } as const;

const tooMany = { status: "429 Too Many Requests", retryAfterSeconds: 1 } as const;

export const Refusals = {
	badRequest: {
		status: "400 Bad Request",
		code: "bad_request",
		message: "this is not an HTTP/1.1 request",
		counter: "refusedBadRequest",
		retryAfterSeconds: 0,
	},
	oldVersion: {
		status: "505 HTTP Version Not Supported",
		code: "http_version_not_supported",
		message: "shards speak HTTP/1.1; HTTP/1.0 is for /health, /ready and /metrics",
		counter: "refusedBadRequest",
		retryAfterSeconds: 0,
	},
	forbidden: {
		status: "403 Forbidden",
		code: "origin_not_allowed",
		message: "pages of this origin may not connect here: it is not this server's own, and not in --allowed-origins",
		counter: "refusedForbidden",
		retryAfterSeconds: 0,
	},
	headTimeout: {
		status: "408 Request Timeout",
		code: "head_timeout",
		message: "the request head did not come in time",
		counter: "refusedHeadTimeout",
		retryAfterSeconds: 0,
	},
	headTooLong: {
		status: "431 Request Header Fields Too Large",
		code: "head_too_long",
		message: "the request head is too long",
		counter: "refusedHeadTooLong",
		retryAfterSeconds: 0,
	},
	full: { ...unavailable, code: "cluster_full", message: "all shards are full", retryAfterSeconds: 5 },
	noShard: { ...unavailable, code: "no_shard_serves", message: "no shard serves now", retryAfterSeconds: 1 },
	behind: { ...unavailable, code: "shards_behind", message: "the shards do not keep up with new connections", retryAfterSeconds: 1 },
	stopping: { ...unavailable, ...shuttingDown },
	connection_rate: {
		...tooMany,
		code: "connection_rate",
		message: connectionLimits.connection_rate.message,
		counter: "refusedRate",
	},
	connection_rate_per_ip: {
		...tooMany,
		code: "connection_rate_per_ip",
		message: connectionLimits.connection_rate_per_ip.message,
		counter: "refusedRatePerIp",
	},
	descriptors: {
		...unavailable,
		code: "balancer_full",
		message: "the balancer has as many connections as it may have open files",
		retryAfterSeconds: 5,
	},
} as const satisfies Readonly<Record<string, Refusal>>;

/** The same, with a sentence that says more. */
export function because(refusal: Refusal, message: string): Refusal {
	return { ...refusal, message };
}

/** To a connection that waits with its head, when there are no descriptors left. */
export const displaced = because(Refusals.headTimeout, "the request head did not come, and others need this connection's place");

/** The whole answer, after which the connection is closed. */
export function refusalAnswer({ status, code, message, retryAfterSeconds }: Refusal): Buffer {
	const body = `${JSON.stringify({ error: { code, message } })}\n`;
	const retryAfter = retryAfterSeconds === 0 ? "" : `Retry-After: ${retryAfterSeconds}\r\n`;
	const length = `Content-Length: ${Buffer.byteLength(body)}\r\n`;
	return Buffer.from(`HTTP/1.1 ${status}\r\nContent-Type: application/json\r\n${length}${retryAfter}Connection: close\r\n\r\n${body}`);
}
