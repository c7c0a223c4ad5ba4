import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { OneRequest } from "./one-request.ts";

export interface Answer {
	readonly status: number;
	readonly type: string;
	readonly body: string | Buffer;
	readonly headers?: Readonly<Record<string, string>>;
}

/** By path, such as "/health". The query is not looked at. */
export type Routes = ReadonlyMap<string, (request: IncomingMessage) => Answer | Promise<Answer>>;

/**
 * The requests that the balancer answers itself, one per connection: after it the connection is closed, because what the
 * client would ask next may be a shard's to answer.
 *
 * It is a `node:http` server that does not listen: whoever has accepted a connection gives it the socket. Its timeouts do
 * not run then; the responder bounds how many connections there are, and for how long.
 */
export class Answers {
	readonly #server: Server;
	readonly #routes: Routes;
	readonly #paths: readonly Buffer[];

	constructor(routes: Routes, headBytesMax: number) {
		this.#routes = routes;
		this.#paths = [...routes.keys()].map((path) => Buffer.from(path, "latin1"));
		this.#server = createServer(
			{ maxHeaderSize: headBytesMax, keepAlive: false },
			(request, response) => void this.#answer(request, response),
		);
	}

	/** Whether the request target in `bytes` is one of these. */
	has(bytes: Uint8Array, start: number, end: number): boolean {
		let pathEnd = start;
		while (pathEnd < end && bytes[pathEnd] !== questionMark) pathEnd++;
		const length = pathEnd - start;
		for (const path of this.#paths) if (path.length === length && path.compare(bytes, start, pathEnd) === 0) return true;
		return false;
	}

	/**
	 * Takes over a socket.
	 * @param head the first request's, whole. What is unread in the socket is thrown away, be it this head once more.
	 */
	take(socket: Socket, head: Buffer): void {
		this.#server.emit("connection", new OneRequest(socket, head));
	}

	async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		response.setHeader("Connection", "close");
		try {
			send(request, response, await this.#choose(request));
		} catch (error) {
			const message = error instanceof Error ? error.message : String(error);
			send(request, response, failure(500, "internal", message));
		}
	}

	#choose(request: IncomingMessage): Answer | Promise<Answer> {
		const { method, url = "" } = request;
		const query = url.indexOf("?");
		const route = this.#routes.get(query < 0 ? url : url.slice(0, query));
		if (route === undefined) return failure(404, "not_found", "there is nothing at this path");
		if (method === "GET" || method === "HEAD") return route(request);
		return { ...failure(405, "method_not_allowed", "use GET"), headers: { Allow: "GET, HEAD" } };
	}
}

export function json(status: number, value: unknown): Answer {
	return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}

function failure(status: number, code: string, message: string): Answer {
	return json(status, { error: { code, message } });
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, headers }: Answer): void {
	response.writeHead(status, { "Content-Type": type, "Content-Length": Buffer.byteLength(body), "Cache-Control": "no-store", ...headers });
	response.end(request.method === "HEAD" ? undefined : body);
}

const questionMark = 63;
