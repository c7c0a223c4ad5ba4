/**
 * Sockets that have written something, and are told so later in the same turn of the loop.
 *
 * Not at once: after its `drain` callback, the library stops waiting for the socket to be writable unless a write in it failed, and it does not note
 * the failure of a write of more than about 16 KiB. What of that the kernel did not take would stay in the socket until something else is written to
 * it, and nobody would be told that it has room again.
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
