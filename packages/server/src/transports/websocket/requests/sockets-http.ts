import { isBodiless, jsonType, type Reply, statusLine } from "@shardcast/http";
import type { Response } from "../sockets-app.ts";

/** Sends a complete answer. @param head the request was a HEAD: the same answer without its body. */
export function sendReply(response: Response, reply: Reply, head = false): void {
	// Corked, so that status, headers and body are sent in one write, also after the request's callback has returned.
	response.cork(() => {
		writeHead(response, reply);
		const isEmpty = isBodiless(reply.status);
		if (!head && !isEmpty) {
			response.end(reply.body, reply.close);
			return;
		}
		// endWithoutBody with a length aborts the process (20.x), so both headers are written here, and the client closes the connection.
		if (!isEmpty) response.writeHeader("Content-Length", String(Buffer.byteLength(reply.body)));
		if (reply.close) response.writeHeader("Connection", "close");
		response.endWithoutBody();
	});
}

/** Writes status and headers. The library writes Content-Length or Transfer-Encoding with the body. */
export function writeHead(response: Response, { status, type, headers }: Reply): void {
	// The library's default is 200.
	if (status !== 200) response.writeStatus(statusLine(status));
	if (!isBodiless(status)) response.writeHeader("Content-Type", type ?? jsonType);
	for (const name of Object.keys(headers)) response.writeHeader(name, headers[name]);
}
