import type { Reply } from "./reply.ts";
import type { HttpRequest } from "./request.ts";
import type { StreamStart } from "./stream.ts";

interface RoutePath {
	readonly path: string;
	/** Absent = any but OPTIONS, for WebSocket paths. GET also answers HEAD, without the body. */
	readonly method?: "GET" | "POST";
	/** Pages of allowed origins may use the route and read its answers; others are refused. If false, no page may read the answers. */
	readonly forPages?: boolean;
	/** Such pages may also send cookies and any header. Applies to all methods of a path, like the next option. */
	readonly withCredentials?: boolean;
	/**
	 * Keeps the connection open for further requests. Otherwise it is closed after the answer: balancer and shards share a port, and the next
	 * request could be for another process.
	 */
	readonly keepAlive?: boolean;
	/** Allowed query parameters; others are answered 400. Absent = not checked. */
	readonly query?: readonly string[];
}

/** A route that needs only the request's head. */
export interface AnswerRoute extends RoutePath {
	readonly kind: "answer";
	readonly answer: (request: HttpRequest) => Reply | Promise<Reply>;
}

/** Takes the whole body, which is valid until it returns. */
export type BodyHandler = (body: Uint8Array) => Reply | Promise<Reply> | StreamStart;

/** A route that reads a body, then answers, at once or with a stream. */
export interface BodyRoute extends RoutePath {
	readonly kind: "body";
	/** Longest body, in bytes; a longer one is answered 413. */
	readonly bodyBytesMax: number;
	/** Where the limit comes from. Appended to "the body is longer than … bytes". */
	readonly bodyHint?: string;
	/** Called with the head, before the body is read. Returns an answer for which the body is not needed, or a function that takes the body. */
	readonly begin: (request: HttpRequest) => Reply | BodyHandler;
}

/** A route that answers with a stream. */
export interface StreamRoute extends RoutePath {
	readonly kind: "stream";
	readonly begin: (request: HttpRequest) => Reply | StreamStart;
}

export type Route = AnswerRoute | BodyRoute | StreamRoute;
