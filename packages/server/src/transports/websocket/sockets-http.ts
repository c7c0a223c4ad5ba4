import { isBodiless, jsonType, type Reply, statusLine } from "@shardcast/http";
import type { Response } from "./sockets-app.ts";

/** Sends a whole answer. @param head the request was a HEAD: the same answer without its body. */
export function sendReply(response: Response, reply: Reply, head = false): void {
	// Corked, so that status, headers and body leave in one write, also when the request's own callback is over.
	response.cork(() => {
		writeHead(response, reply);
		const isEmpty = isBodiless(reply.status);
		if (!head && !isEmpty) {
			response.end(reply.body, reply.close);
			return;
		}
		// endWithoutBody with a length aborts the process (20.x), so both headers are written here; the client does the closing.
		if (!isEmpty) response.writeHeader("Content-Length", String(Buffer.byteLength(reply.body)));
		if (reply.close) response.writeHeader("Connection", "close");
		response.endWithoutBody();
	});
}

/** Status and headers. The library writes Content-Length or Transfer-Encoding by itself, with the body. */
export function writeHead(response: Response, { status, type, headers }: Reply): void {
	// The library's own status is 200.
	if (status !== 200) response.writeStatus(statusLine(status));
	if (!isBodiless(status)) response.writeHeader("Content-Type", type ?? jsonType);
	for (const name of Object.keys(headers)) response.writeHeader(name, headers[name]);
}
