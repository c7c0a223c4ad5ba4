import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/**
 * A connection as node:http sees it: the head of one request, nothing after it, and a stream for the response. Whatever else the client sends
 * is read and discarded, because closing with unread bytes would cut the response off. A client that sends a thousand requests at once thus
 * costs as much as one.
 *
 * The connection is closed after the response. If the client does not close then, the creator of the socket must destroy it.
 */
export class OneRequest extends Duplex {
	readonly #socket: Socket;

	/** Address of the client, which may be behind a proxy. */
	readonly remoteAddress: string;

	constructor(socket: Socket, head: Buffer, address: string) {
		super();
		this.remoteAddress = address;
		this.#socket = socket;
		this.push(head);
		// After an error the client is gone; "close" follows.
		socket.on("error", () => {});
		socket.once("close", () => this.destroy());
		socket.resume();
	}

	override _read(): void {}

	override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#socket.write(chunk, encoding, done);
	}

	override _final(done: () => void): void {
		this.#socket.end(done);
	}

	/** Called by node:http when it has refused the request. */
	override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
		this.#socket.end();
		done();
	}
}
