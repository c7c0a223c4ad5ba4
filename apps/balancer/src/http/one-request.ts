import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/**
 * A connection as node:http is to see it: the head of one request, nothing after it, and the way for its answer. What else the client
 * sends is read and thrown away, since closing with bytes unread would cut the answer off; so a client that sends a thousand requests
 * at once costs one.
 *
 * The connection is closed when the answer has been written, and cut by whoever made the socket if the client does not close then.
 */
export class OneRequest extends Duplex {
	readonly #socket: Socket;

	constructor(socket: Socket, head: Buffer) {
		super();
		this.#socket = socket;
		this.push(head);
		// An error means that the client is gone, and "close" follows.
		socket.on("error", () => {});
		socket.once("close", () => this.destroy());
		socket.resume();
	}

	get remoteAddress(): string | undefined {
		return this.#socket.remoteAddress;
	}

	override _read(): void {}

	override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
		this.#socket.write(chunk, encoding, done);
	}

	override _final(done: () => void): void {
		this.#socket.end(done);
	}

	/** By node:http when it does not like the request, after it has said so. */
	override _destroy(_error: Error | null, done: (error?: Error | null) => void): void {
		this.#socket.end();
		done();
	}
}
