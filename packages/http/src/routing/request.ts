/** A client's address as reported by a trusted proxy. */
export interface ForwardedAddress {
	readonly address: string;
	/** Whether shardcast's balancer, in proxy mode, reported it. */
	readonly byBalancer: boolean;
}

/**
 * A request, independent of sockets and the HTTP library. Valid only until the handler returns: read what you need later before that.
 */
export interface HttpRequest {
	/** As sent, such as "GET". */
	readonly method: string;
	/** Without the query. */
	readonly path: string;
	/** Without its question mark; "" when there is none. */
	readonly query: string;
	/** The client's address as text, also behind a trusted proxy. May be read until the request is answered or the client is gone. */
	readonly address: string;
	/** The address if a proxy has reported it; null or absent = it is that of the connection. */
	readonly forwarded?: ForwardedAddress | null;
	/** The value as sent, "" when absent; of repeated headers the first. @param name in lower case. */
	header(name: string): string;
	/** The same, with the values of all headers of this name joined: a client may send one, and a proxy may add another. Absent = as `header`. */
	joinedHeader?(name: string): string;
}
