import { createServer, type IncomingMessage, METHODS, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
	type AnswerRoute,
	BodyNeeded,
	type BodyRoute,
	dividedTarget,
	nodeRequest,
	type Reply,
	type Router,
	refusal,
	replyBytes,
	StreamNeeded,
	sendNodeReply,
	withNodeBody,
} from "@shardcast/http";
import { type BodyPlace, OneRequest } from "./one-request.ts";

/**
 * Answers the requests that the balancer handles itself, one per connection. Then it closes the connection, because a shard may have to answer
 * the client's next request.
 *
 * It is a `node:http` server that does not listen: the data path accepts connections and passes their sockets in. The server's timeouts do not
 * run then; the responder limits the number of connections and their time.
 */
export class Answers {
	readonly #server: Server;
	readonly #router: Router<AnswerRoute | BodyRoute>;
	readonly #paths: readonly Buffer[];

	constructor(router: Router<AnswerRoute | BodyRoute>, headBytesMax: number) {
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
	 * @param body where the request's body is; one that is longer than any route takes is discarded.
	 */
	take(socket: Socket, head: Buffer, address: string, body: BodyPlace): void {
		const connection = new OneRequest(socket, head, address, body.bytes > 0 && body.bytes <= this.#router.bodyBytesMax ? body : null);
		const [method = "", target = ""] = head.toString("latin1", 0, head.indexOf("\r\n")).split(" ", 2);
		if (known.has(method)) this.#server.emit("connection", connection);
		else void this.#answerUnknown(connection, method, target);
	}

	/** Answers a request with a method unknown to node:http, which would only answer 400. */
	async #answerUnknown(connection: OneRequest, method: string, target: string): Promise<void> {
		const request = { method, ...dividedTarget(target), address: connection.remoteAddress, header: () => "" };
		const routed = this.#router.route(request);
		connection.end(replyBytes(routed instanceof BodyNeeded ? refusal("method_not_allowed") : await routed));
	}

	async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		let reply: Reply;
		try {
			const routed = this.#router.route(nodeRequest(request, request.socket.remoteAddress ?? ""));
			reply = routed instanceof BodyNeeded ? await bodied(routed, request) : await routed;
		} catch (error) {
			reply = refusal("internal", (error as Error).message);
		}
		sendNodeReply(request, response, reply, true);
	}
}

async function bodied(needed: BodyNeeded, request: IncomingMessage): Promise<Reply> {
	// Its end would have to be looked for before the rest of the connection is discarded.
	if (request.headers["transfer-encoding"] !== undefined) return refusal("bad_request", "this path needs a body with a Content-Length");
	const reply = await withNodeBody(needed, request);
	// No route here opens a stream.
	return reply instanceof StreamNeeded ? refusal("internal") : reply;
}

const questionMark = 63;
const known: ReadonlySet<string> = new Set(METHODS);
