import type { Reply } from "./reply.ts";
import type { HttpRequest } from "./request.ts";
import type { StreamStart } from "./stream.ts";

interface RoutePath {
	readonly path: string;
	/** Absent = any but OPTIONS, for paths of WebSockets. GET answers HEAD as well, without the body. */
	readonly method?: "GET" | "POST";
	/** Pages of allowed origins may use it and read its answers; those of others are refused. Else no page is told that it may read them. */
	readonly forPages?: boolean;
	/** Such pages may send cookies and any header along. Holds for all methods of a path, like the others of these. */
	readonly withCredentials?: boolean;
	/**
	 * The connection is kept for further requests. Otherwise it ends with the answer: balancer and shards share a port, and the next request
	 * of a connection could be for the other.
	 */
	readonly keepAlive?: boolean;
	/** The parameters that its query may have; any other is answered 400. Not checked if not given. */
	readonly query?: readonly string[];
}

/** Answers from the head alone. */
export interface AnswerRoute extends RoutePath {
	readonly kind: "answer";
	readonly answer: (request: HttpRequest) => Reply | Promise<Reply>;
}

/** Takes the whole body. Valid until it returns. */
export type TakeBody = (body: Uint8Array) => Reply | Promise<Reply> | StreamStart;

/** Reads a body, then answers, at once or over time. */
export interface BodyRoute extends RoutePath {
	readonly kind: "body";
	/** Longest body, in bytes; a longer one is answered 413. */
	readonly bodyBytesMax: number;
	/** Behind "the body is longer than … bytes": what the limit comes from. */
	readonly bodyHint?: string;
	/** Sees the head before a byte of the body is read: the answer for which no body is needed, or what takes it. */
	readonly begin: (request: HttpRequest) => Reply | TakeBody;
}

/** Answers over time. */
export interface StreamRoute extends RoutePath {
	readonly kind: "stream";
	readonly begin: (request: HttpRequest) => Reply | StreamStart;
}

export type Route = AnswerRoute | BodyRoute | StreamRoute;
