import { createServer, type IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { setImmediate as turnOfLoop } from "node:timers/promises";

/** A request as a server has read it. */
export interface RequestRead {
	readonly method: string;
	readonly target: string;
	/** Without white space around it; null = none. */
	readonly host: string | null;
	/** Names in lower case. */
	readonly headers: readonly (readonly [name: string, value: string])[];
	/** Each byte as a character; null = it has not arrived in full, or there is something wrong with it. */
	readonly body: string | null;
}

export interface RequestsRead {
	/** In order. Only the last may lack its body. */
	readonly requests: readonly RequestRead[];
	/** The server has refused what follows them. */
	readonly isRefused: boolean;
}

/** A connection in memory. */
class Connection extends Duplex {
	constructor(bytes: Buffer) {
		super();
		this.push(bytes);
	}

	override _read(): void {}

	override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
		done();
	}
}

/** What the HTTP parser of Node.js, which is strict, reads of a client's bytes. It reads nothing behind a request with Connection: close, or for an upgrade. */
export async function judgeRequests(bytes: Buffer): Promise<RequestsRead> {
	const requests: RequestRead[] = [];
	let isRefused = false;
	const server = createServer({ maxHeaderSize: 65_536, keepAlive: true }, (request, response) => {
		let body = "";
		const index = requests.push(read(request, null)) - 1;
		request.on("data", (piece: Buffer) => {
			body += piece.toString("latin1");
		});
		request.on("end", () => {
			requests[index] = read(request, body);
			response.end();
		});
	});
	server.maxHeadersCount = 2000;
	// The connection stays for now, since the requests before this one are still being told.
	server.on("clientError", () => {
		isRefused = true;
	});
	const connection = new Connection(bytes);
	// All that it does with these bytes happens in this turn of the loop and the next.
	server.emit("connection", connection);
	for (let turn = 0; turn < 4; turn++) await turnOfLoop();
	connection.destroy();
	server.close();
	return { requests, isRefused };
}

function read({ method = "", url = "", rawHeaders }: IncomingMessage, body: string | null): RequestRead {
	const headers: [string, string][] = [];
	for (let at = 0; at < rawHeaders.length; at += 2) headers.push([rawHeaders[at]!.toLowerCase(), rawHeaders[at + 1]!]);
	return { method, target: url, host: headers.find(([name]) => name === "host")?.[1] ?? null, headers, body };
}
