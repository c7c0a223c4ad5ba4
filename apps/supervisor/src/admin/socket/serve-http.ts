import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import {
	type AnswerRoute,
	BodyNeeded,
	type BodyRoute,
	nodeRequest,
	type Reply,
	type Router,
	refusal,
	StreamNeeded,
	sendNodeReply,
	withNodeBody,
} from "@shardcast/http";
import { ConnectionRoom } from "./connection-room.ts";

const headBytesMax = 16_384;
/** Time for a request to arrive as a whole. */
const requestMs = 10_000;
const keepAliveMs = 5000;

interface ServeHttpParts {
	readonly router: Router<AnswerRoute | BodyRoute>;
	/** Who is at the other end, as the address of the request. */
	readonly peerOf: (socket: Socket) => string;
	/** A connection of this peer is closed: there is no room, and it has not sent a whole request. */
	readonly onNoRoom: (peer: string) => void;
	/** Gets the error of a handler, which is a bug. */
	readonly onError: (error: unknown) => void;
}

/** An HTTP server that answers with a router. It does not listen yet. */
export function serveHttp(parts: ServeHttpParts): Server {
	const peers = new WeakMap<Socket, string>();
	const room = new ConnectionRoom((socket) => parts.onNoRoom(parts.peerOf(socket)));
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
			room.began(socket, request);
			response.once("close", () => room.answered(socket, request));
			void answer(parts, request, response, peer);
		},
	);
	server.on("connection", (socket: Socket) => room.opened(socket));
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
		const routed = router.route(nodeRequest(request, peer));
		const replied = routed instanceof BodyNeeded ? await withNodeBody(routed, request) : await routed;
		// These routes open no streams.
		reply = replied instanceof StreamNeeded ? refusal("internal") : replied;
	} catch (error) {
		// The client is gone, and with it the rest of its body.
		if (request.destroyed && !request.complete) return;
		onError(error);
		reply = refusal("internal");
	}
	// What is left of a body would be read as the next request.
	sendNodeReply(request, response, reply, reply.close || !request.complete);
}
