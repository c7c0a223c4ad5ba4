/** A client's address that is not its connection's, because a proxy that is trusted has told it. */
export interface ToldAddress {
	readonly address: string;
	/** It came through our own balancer in proxy mode. */
	readonly byBalancer: boolean;
}

/**
 * What a handler sees of a request: nothing of sockets or of the library that parsed it. Valid until the handler returns: what is needed
 * later must be read before.
 */
export interface HttpRequest {
	/** As sent, such as "GET". */
	readonly method: string;
	/** Without the query. */
	readonly path: string;
	/** Without its question mark; "" when there is none. */
	readonly query: string;
	/** Of the client, in text, behind a trusted proxy as well. May be read until the request is answered or the client gone. */
	readonly address: string;
	/** The address, if a proxy has told it; null or absent = it is the connection's. */
	readonly told?: ToldAddress | null;
	/** The value as sent, "" when absent; of a header in several lines the first. @param name in lower case. */
	header(name: string): string;
}
