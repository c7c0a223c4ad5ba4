import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
	type AnswerRoute,
	BodyNeeded,
	type BodyRoute,
	GrowingBytes,
	type HttpRequest,
	headerPairs,
	type Reply,
	type Router,
	refusal,
	StreamNeeded,
} from "@shardcast/http";

/** Most connections at once; more are closed. An operator has one, a console one. */
const connectionsMax = 64;
const headBytesMax = 16_384;
/** Time for a request to arrive as a whole. */
const requestMs = 10_000;
const keepAliveMs = 5000;

interface ServeHttpParts {
	readonly router: Router<AnswerRoute | BodyRoute>;
	/** Who is at the other end, as the address of the request. */
	readonly peerOf: (socket: Socket) => string;
	/** Gets the error of a handler, which is a bug. */
	readonly onError: (error: unknown) => void;
}

/** An HTTP server that answers with a router. It does not listen yet. */
export function serveHttp(parts: ServeHttpParts): Server {
	const peers = new WeakMap<Socket, string>();
	const server = createServer(
		{ maxHeaderSize: headBytesMax, requestTimeout: requestMs, headersTimeout: requestMs, keepAliveTimeout: keepAliveMs },
		(request, response) => {
			const { socket } = request;
			// Looked up once: it is that of the process that has connected.
			let peer = peers.get(socket);
			if (peer === undefined) {
				peer = parts.peerOf(socket);
				peers.set(socket, peer);
			}
			void answer(parts, request, response, peer);
		},
	);
	server.maxConnections = connectionsMax;
	return server;
}

async function answer(
	{ router, onError }: ServeHttpParts,
	request: IncomingMessage,
	response: ServerResponse,
	peer: string,
): Promise<void> {
	let reply: Reply;
	try {
		const routed = router.route(seen(request, peer));
		const replied = routed instanceof BodyNeeded ? await withBody(routed, request) : await routed;
		// These routes open no streams.
		reply = replied instanceof StreamNeeded ? refusal("internal") : replied;
	} catch (error) {
		// The client is gone, and with it the rest of its body.
		if (request.destroyed && !request.complete) return;
		onError(error);
		reply = refusal("internal");
	}
	// What is left of a body would be read as the next request.
	const isLast = reply.close || !request.complete;
	response.writeHead(reply.status, [...headerPairs(reply), ...(isLast ? [["Connection", "close"]] : [])].flat());
	response.end(request.method === "HEAD" ? undefined : reply.body);
}

/** Rejects when the client is gone before the end of its body. */
async function withBody(needed: BodyNeeded, request: IncomingMessage): Promise<Reply | StreamNeeded> {
	const bytes = new GrowingBytes();
	const isWhole = await new Promise<boolean>((resolve, reject) => {
		request.on("data", (piece: Buffer) => {
			// The rest is read and left out until the answer is sent: closing with unread bytes would cut that off.
			if (bytes.length + piece.length > needed.bytesMax) resolve(false);
			else bytes.append(piece);
		});
		request.once("end", () => resolve(true));
		request.once("error", reject);
		request.once("close", () => reject(new Error("the client is gone")));
	});
	return isWhole ? needed.whole(bytes.all()) : needed.refuse("too_large");
}

function seen({ method = "", url = "", headers }: IncomingMessage, peer: string): HttpRequest {
	const mark = url.indexOf("?");
	return {
		method,
		path: mark < 0 ? url : url.slice(0, mark),
		query: mark < 0 ? "" : url.slice(mark + 1),
		address: peer,
		header: (name) => String(headers[name] ?? ""),
	};
}
