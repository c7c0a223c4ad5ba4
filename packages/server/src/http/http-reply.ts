import { httpErrors } from "@shardcast/http";

/** An answer to an HTTP request. `close`: the connection ends with it. */
export interface HttpReply {
	readonly status: number;
	/** JSON unless `type` says otherwise. */
	readonly body: string;
	readonly type?: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly close: boolean;
}

/** When to come back, for what does not last. */
const retryAfterSeconds = 1;

/** What can go wrong with a request: status and, in the body, code. The message is for people. */
const refusals = {
	bad_request: 400,
	unauthorized: 401,
	forbidden: 403,
	origin_not_allowed: 403,
	not_found: 404,
	method_not_allowed: 405,
	too_slow: 408,
	too_large: 413,
	upgrade_required: 426,
	too_many_requests: 429,
	connection_rate: 429,
	connection_rate_per_ip: 429,
	connections_per_ip: 429,
	internal: 500,
	shard_full: 503,
	shutting_down: 503,
	unavailable: 503,
} as const;
export type RefusalCode = keyof typeof refusals;

export interface RefusalOptions {
	/** Leave the connection open: the request was whole, the next one may be right. */
	readonly keepOpen?: boolean;
	readonly headers?: Readonly<Record<string, string>>;
}

/** `{"error":{"code":…,"message":…}}`; those that will be over soon carry Retry-After. */
export function refusal(code: RefusalCode, message: string, options: RefusalOptions = {}): HttpReply {
	const status = refusals[code];
	const retrySeconds = code === "shutting_down" ? httpErrors.shutting_down.retryAfterSeconds : retryAfterSeconds;
	const retry: Record<string, string> = status === 429 || status === 503 ? { "Retry-After": String(retrySeconds) } : {};
	return {
		status,
		body: jsonText({ error: { code, message } }),
		headers: { ...retry, ...options.headers },
		close: options.keepOpen !== true,
	};
}

/** To a page of another site, with what its owner can do about it. */
export function originRefused({ origin, host }: { readonly origin: string; readonly host: string }): HttpReply {
	const page = `pages of ${origin.slice(0, 200)} may not use ${host === "" ? "this server" : host.slice(0, 200)}`;
	return refusal("origin_not_allowed", `${page}: list the origin in --allowed-origins`);
}

export function json(status: number, value: unknown, options: { readonly close: boolean }): HttpReply {
	return { status, body: jsonText(value), headers: {}, close: options.close };
}

/** To a request that comes during a stop: as the balancer answers it. */
export function stopping(): HttpReply {
	return refusal("shutting_down", httpErrors.shutting_down.message);
}

/** One line, so that answers of several requests stand below each other in a terminal. */
function jsonText(value: unknown): string {
	return `${JSON.stringify(value)}\n`;
}
