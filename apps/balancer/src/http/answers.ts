import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type AnswerRoute, type HttpRequest, headerPairs, type Reply, type Router, refusal } from "@shardcast/http";
import { OneRequest } from "./one-request.ts";

/**
 * The requests that the balancer answers itself, one per connection: after it the connection is closed, because what the
 * client would ask next may be a shard's to answer.
 *
 * It is a `node:http` server that does not listen: whoever has accepted a connection gives it the socket. Its timeouts do
 * not run then; the responder bounds how many connections there are, and for how long.
 */
export class Answers {
	readonly #server: Server;
	readonly #router: Router<AnswerRoute>;
	readonly #paths: readonly Buffer[];

	constructor(router: Router<AnswerRoute>, headBytesMax: number) {
		this.#router = router;
		this.#paths = router.paths.map((path) => Buffer.from(path, "latin1"));
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
		try {
			send(request, response, await this.#router.route(seen(request)));
		} catch (error) {
			send(request, response, refusal("internal", (error as Error).message));
		}
	}
}

/** The request as a handler sees it. */
function seen({ method = "", url = "", headers, socket }: IncomingMessage): HttpRequest {
	const mark = url.indexOf("?");
	return {
		method,
		path: mark < 0 ? url : url.slice(0, mark),
		query: mark < 0 ? "" : url.slice(mark + 1),
		address: socket.remoteAddress ?? "",
		header: (name) => String(headers[name] ?? ""),
	};
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
	response.writeHead(reply.status, [...headerPairs(reply), ["Connection", "close"]].flat());
	response.end(request.method === "HEAD" ? undefined : reply.body);
}

const questionMark = 63;
