import type { IncomingMessage, ServerResponse } from "node:http";
import { GrowingBytes } from "../growing-bytes.ts";
import { headerPairs, type Reply } from "./reply.ts";
import type { HttpRequest } from "./request.ts";
import type { BodyNeeded, StreamNeeded } from "./router.ts";

/** A request of node:http, for a router. @param address of the client. */
export function nodeRequest({ method = "", url = "", headers }: IncomingMessage, address: string): HttpRequest {
	return { method, ...dividedTarget(url), address, header: (name) => String(headers[name] ?? "") };
}

/** Path and query of a request target. */
export function dividedTarget(target: string): Pick<HttpRequest, "path" | "query"> {
	const mark = target.indexOf("?");
	return mark < 0 ? { path: target, query: "" } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

/** Reads the body, and gives it to the route. Rejects when the client is gone before its end. */
export async function withNodeBody(needed: BodyNeeded, request: IncomingMessage): Promise<Reply | StreamNeeded> {
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

export function sendNodeReply(request: IncomingMessage, response: ServerResponse, reply: Reply, close: boolean): void {
	response.writeHead(reply.status, [...headerPairs(reply), ...(close ? [["Connection", "close"]] : [])].flat());
	response.end(request.method === "HEAD" ? undefined : reply.body);
}
