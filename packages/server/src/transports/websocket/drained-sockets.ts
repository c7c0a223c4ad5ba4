/**
 * Sockets that have written something, and are told so later in the same turn of the loop.
 *
 * Not at once: a message of 16 KiB or more that finds nothing buffered is written by `us_socket_write2`. When the kernel takes only a part of it, that
 * function asks for the next event, but does not note that a write has failed. So the library takes the request back when its `drain` callback, with
 * its microtasks and ticks, has ended: the rest stays in its buffer until something else is written to that socket, and nobody is told that there is
 * room again. An empty `cork` writes it, but brings no event either. TLS, and sockets that were ever in a topic, are written in another way.
 *
 * One owner, its app. Bound: the sockets that there are.
 */
export class DrainedSockets<Socket> {
	readonly #sockets = new Set<Socket>();
	readonly #tell: (socket: Socket) => void;
	#isScheduled = false;

	/** @param tell must not throw. */
	constructor(tell: (socket: Socket) => void) {
		this.#tell = tell;
	}

	readonly add = (socket: Socket): void => {
		this.#sockets.add(socket);
		if (this.#isScheduled) return;
		this.#isScheduled = true;
		setImmediate(this.#tellAll);
	};

	/** It has closed. */
	forget(socket: Socket): void {
		this.#sockets.delete(socket);
	}

	readonly #tellAll = (): void => {
		this.#isScheduled = false;
		for (const socket of this.#sockets) {
			this.#sockets.delete(socket);
			this.#tell(socket);
		}
	};
}
