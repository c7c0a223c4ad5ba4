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
	/** Of the client, in text, behind our own proxy as well. May be read until the request is answered or the client gone. */
	readonly address: string;
	/** The value as sent, "" when absent; of a header in several lines the first. @param name in lower case. */
	header(name: string): string;
}
