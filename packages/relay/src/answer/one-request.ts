import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** Where a request's body is, when its head is known. */
export interface BodyPlace {
	/** Bytes of the body that were read together with the head. */
	readonly early: Buffer;
	/** Bytes in the socket before the body: a head that was only peeked at. */
	readonly unread: number;
	/** Length of the body. What follows it is discarded. */
	readonly bytes: number;
}

/**
 * A connection as node:http sees it: the head of one request, its body, nothing after it, and a stream for the response. Whatever else the client sends
 * is read and discarded, because closing with unread bytes would cut the response off. A client that sends a thousand requests at once thus
 * costs as much as one.
 *
 * The connection is closed after the response. If the client does not close then, the creator of the socket must destroy it.
 */
export class OneRequest extends Duplex {
	readonly #socket: Socket;

	/** Address of the client, which may be behind a proxy. */
	readonly remoteAddress: string;

	/** @param body null = it is discarded, too. */
	constructor(socket: Socket, head: Buffer, address: string, body: BodyPlace | null) {
		super();
		this.remoteAddress = address;
		this.#socket = socket;
		this.push(head);
		if (body !== null) this.#passBody(socket, body);
		// After an error the client is gone; "close" follows.
		socket.on("error", () => {});
		socket.once("close", () => this.destroy());
		socket.resume();
	}

	#passBody(socket: Socket, { early, unread, bytes }: BodyPlace): void {
		let [skip, left] = [unread, bytes];
		const pass = (piece: Buffer): void => {
			const from = Math.min(skip, piece.length);
			const part = piece.subarray(from, Math.min(piece.length, from + left));
			skip -= from;
			left -= part.length;
			if (part.length > 0) this.push(part);
			if (left === 0) socket.off("data", pass);
		};
		// These have no head before them.
		const first = early.subarray(0, left);
		left -= first.length;
		if (first.length > 0) this.push(first);
		if (left > 0) socket.on("data", pass);
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
