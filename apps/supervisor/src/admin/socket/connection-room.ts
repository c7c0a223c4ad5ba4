import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";

/** Most connections at once. An operator has one, a console one. */
export const connectionsMax = 64;

/**
 * The connections of the admin socket. When there are `connectionsMax`, another one takes the place of the oldest that waits: that has not sent a whole
 * request since it was opened or answered. So connections on which nothing comes do not keep a command out. If a request of each is in progress, the
 * new one is closed. Who is closed is told to `onClosed`.
 *
 * One owner, the supervisor's loop. Bound: `connectionsMax`.
 */
export class ConnectionRoom {
	/** The request of each, which may still be arriving; null = none. In the order since when they wait. */
	readonly #requests = new Map<Socket, Pick<IncomingMessage, "complete"> | null>();
	readonly #onClosed: (socket: Socket) => void;

	/** @param onClosed called before a connection is closed for want of room. */
	constructor(onClosed: (socket: Socket) => void) {
		this.#onClosed = onClosed;
	}

	opened(socket: Socket): void {
		if (this.#requests.size >= connectionsMax) {
			const closed = this.#waiting() ?? socket;
			this.#requests.delete(closed);
			this.#onClosed(closed);
			closed.destroy();
			if (closed === socket) return;
		}
		this.#requests.set(socket, null);
		socket.once("close", () => this.#requests.delete(socket));
	}

	/** The head of a request has come. */
	began(socket: Socket, request: Pick<IncomingMessage, "complete">): void {
		if (this.#requests.has(socket)) this.#requests.set(socket, request);
	}

	/** Its reply has been sent. */
	answered(socket: Socket, request: Pick<IncomingMessage, "complete">): void {
		// Another one may have come meanwhile.
		if (this.#requests.get(socket) !== request) return;
		this.#requests.delete(socket);
		this.#requests.set(socket, null);
	}

	#waiting(): Socket | undefined {
		for (const [socket, request] of this.#requests) if (request === null || !request.complete) return socket;
		return undefined;
	}
}
