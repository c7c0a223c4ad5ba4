/** An error of a request, and what it means for the client. */
interface ErrorEntry {
	readonly status: number;
	/** For people. A refusal may use a more specific message. */
	readonly message: string;
	/** Seconds after which the same request may succeed; 0 = it would fail again. */
	readonly retryAfterSeconds: number;
	/** Whether the connection is closed, since later bytes on it may belong to this request. */
	readonly close: boolean;
}

/**
 * All errors of balancer and shards, by the code in the body. There is one table, so that a client gets the same answer to the same problem
 * from every process.
 */
export const httpErrors = {
	bad_request: { status: 400, message: "this is not an HTTP/1.1 request", retryAfterSeconds: 0, close: false },
	proxy_header: {
		status: 400,
		message: "this port takes connections from trusted proxies only, each with a PROXY header (--proxy-protocol, --trusted-proxies)",
		retryAfterSeconds: 0,
		close: true,
	},
	tls_required: {
		status: 400,
		message: "this port speaks TLS only: use https:// or wss://",
		retryAfterSeconds: 0,
		close: true,
	},
	unauthorized: { status: 401, message: "an API key is required", retryAfterSeconds: 0, close: false },
	forbidden: { status: 403, message: "this is not allowed", retryAfterSeconds: 0, close: false },
	origin_not_allowed: {
		status: 403,
		message: "pages of this origin may not connect here: it is neither this server's origin nor in --allowed-origins",
		retryAfterSeconds: 0,
		close: true,
	},
	not_found: { status: 404, message: "there is nothing at this path", retryAfterSeconds: 0, close: true },
	method_not_allowed: { status: 405, message: "this path does not support this method", retryAfterSeconds: 0, close: true },
	head_timeout: { status: 408, message: "the request head did not arrive in time", retryAfterSeconds: 0, close: true },
	too_slow: {
		status: 408,
		message: "the body arrived too slowly while others waited for its buffer; send it again",
		retryAfterSeconds: 0,
		close: true,
	},
	conflict: { status: 409, message: "this is not possible now", retryAfterSeconds: 0, close: false },
	too_large: { status: 413, message: "the body is too long", retryAfterSeconds: 0, close: true },
	upgrade_required: { status: 426, message: "this is a WebSocket endpoint: connect with ws://", retryAfterSeconds: 0, close: true },
	too_many_requests: {
		status: 429,
		message: "more messages per second than one client may publish",
		retryAfterSeconds: 1,
		close: false,
	},
	connection_rate: {
		status: 429,
		message: "more new connections per second than this server accepts; try again",
		retryAfterSeconds: 1,
		close: true,
	},
	connection_rate_per_ip: {
		status: 429,
		message: "more new connections per second than one address may open; try again",
		retryAfterSeconds: 1,
		close: true,
	},
	connections_per_ip: {
		status: 429,
		message: "this address has reached its limit of connections",
		retryAfterSeconds: 1,
		close: true,
	},
	connections_per_user: {
		status: 429,
		message: "this user has reached its limit of connections (client.user_connection_limit)",
		retryAfterSeconds: 1,
		close: true,
	},
	head_too_long: { status: 431, message: "the request head is too long", retryAfterSeconds: 0, close: true },
	internal: {
		status: 500,
		message: "the server failed while it handled this request; its log says why",
		retryAfterSeconds: 0,
		close: true,
	},
	unavailable: { status: 503, message: "too many requests are under way; try again", retryAfterSeconds: 1, close: true },
	history_full: { status: 503, message: "the history of this channel has no room now; try again", retryAfterSeconds: 1, close: false },
	/** After this time another process may serve. */
	shutting_down: { status: 503, message: "this server is shutting down; try again", retryAfterSeconds: 5, close: true },
	shard_full: { status: 503, message: "this shard is full; try again", retryAfterSeconds: 1, close: true },
	cut_off: {
		status: 503,
		message: "this node is cut off from the others, and refuses clients until it is not (--cut-off-policy); try another one",
		retryAfterSeconds: 5,
		close: true,
	},
	/** After this time a guard may let go; see `retrySpreadSeconds`. */
	overloaded: {
		status: 503,
		message: "this server is overloaded and takes no new clients now; try again",
		retryAfterSeconds: 10,
		close: true,
	},
	cluster_full: { status: 503, message: "all shards are full", retryAfterSeconds: 5, close: true },
	no_node: { status: 503, message: "no node can take a client now", retryAfterSeconds: 1, close: true },
	no_shard_serves: { status: 503, message: "no shard serves now", retryAfterSeconds: 1, close: true },
	shards_behind: { status: 503, message: "the shards do not keep up with new connections", retryAfterSeconds: 1, close: true },
	balancer_full: {
		status: 503,
		message: "the balancer has no open files left",
		retryAfterSeconds: 5,
		close: true,
	},
	http_version_not_supported: {
		status: 505,
		message: "clients need HTTP/1.1; HTTP/1.0 is for /health, /ready and /metrics",
		retryAfterSeconds: 0,
		close: true,
	},
} as const satisfies Readonly<Record<string, ErrorEntry>>;

/** Up to as much is added to `retryAfterSeconds`, so that clients that were refused together do not come back together. */
export const retrySpreadSeconds: Partial<Record<keyof typeof httpErrors, number>> = { overloaded: 10 };

export type ErrorCode = keyof typeof httpErrors;
