import { STATUS_CODES } from "node:http";
import type { HttpReply } from "../http/http-reply.ts";
import type { Response } from "./sockets-app.ts";

/** Sends a whole answer. @param head the request was a HEAD: the same answer without its body. */
export function sendReply(response: Response, reply: HttpReply, head = false): void {
	// Corked, so that status, headers and body leave in one write, also when the request's own callback is over.
	response.cork(() => {
		response.writeStatus(`${reply.status} ${STATUS_CODES[reply.status]}`);
		// Neither a type nor a length belongs to it.
		const isEmpty = reply.status === 204;
		if (!isEmpty) response.writeHeader("Content-Type", reply.type ?? "application/json");
		for (const name of Object.keys(reply.headers)) response.writeHeader(name, reply.headers[name]);
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
