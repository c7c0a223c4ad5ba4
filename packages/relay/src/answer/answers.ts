import { createServer, type IncomingMessage, METHODS, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type AnswerRoute, type HttpRequest, headerPairs, type Reply, type Router, refusal, replyBytes } from "@shardcast/http";
import { OneRequest } from "./one-request.ts";

/**
 * Answers the requests that the balancer handles itself, one per connection. Then it closes the connection, because a shard may have to answer
 * the client's next request.
 *
 * It is a `node:http` server that does not listen: the data path accepts connections and passes their sockets in. The server's timeouts do not
 * run then; the responder limits the number of connections and their time.
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

	/** Whether the request target in `bytes` belongs to one of these routes. */
	has(bytes: Uint8Array, start: number, end: number): boolean {
		let pathEnd = start;
		while (pathEnd < end && bytes[pathEnd] !== questionMark) pathEnd++;
		const length = pathEnd - start;
		for (const path of this.#paths) if (path.length === length && path.compare(bytes, start, pathEnd) === 0) return true;
		return false;
	}

	/**
	 * Takes over a socket.
	 * @param head the complete head of the first request. Whatever is unread in the socket is discarded, even if it is this head again.
	 * @param address of the client.
	 */
	take(socket: Socket, head: Buffer, address: string): void {
		const connection = new OneRequest(socket, head, address);
		const [method = "", target = ""] = head.toString("latin1", 0, head.indexOf("\r\n")).split(" ", 2);
		if (known.has(method)) this.#server.emit("connection", connection);
		else void this.#answerUnknown(connection, method, target);
	}

	/** Answers a request with a method unknown to node:http, which would only answer 400. */
	async #answerUnknown(connection: OneRequest, method: string, target: string): Promise<void> {
		const { path, query } = divided(target);
		connection.end(replyBytes(await this.#router.route({ method, path, query, address: connection.remoteAddress, header: () => "" })));
	}

	async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		try {
			send(request, response, await this.#router.route(seen(request)));
		} catch (error) {
			send(request, response, refusal("internal", (error as Error).message));
		}
	}
}

/** Converts the request to what a handler gets. */
function seen({ method = "", url = "", headers, socket }: IncomingMessage): HttpRequest {
	return {
		method,
		...divided(url),
		address: socket.remoteAddress ?? "",
		header: (name) => String(headers[name] ?? ""),
	};
}

function divided(target: string): { readonly path: string; readonly query: string } {
	const mark = target.indexOf("?");
	return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
	response.writeHead(reply.status, [...headerPairs(reply), ["Connection", "close"]].flat());
	response.end(request.method === "HEAD" ? undefined : reply.body);
}

const questionMark = 63;
const known: ReadonlySet<string> = new Set(METHODS);
