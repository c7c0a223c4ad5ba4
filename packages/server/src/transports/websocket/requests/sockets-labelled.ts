import { randomBytes } from "node:crypto";
import { proxyHeader } from "@shardcast/http";
import { closeDescriptor, replaceDescriptor, sendAll, socketPair, unreadBytes } from "@shardcast/native";
import type { GuardedApp, Response } from "../sockets-app.ts";

interface LabelledSocketsParts {
	readonly app: Pick<GuardedApp, "adopt">;
	/** Called when a connection is served. It may exceed the limit of clients. */
	readonly served: (response: Response) => void;
	readonly onError: (error: unknown) => void;
}

const labelBytes = 16;
/** The library reads the label in the next turn of the loop. If it has not after this many turns, something is wrong. */
const turnsMax = 100;

/** A connection that was not given to the library yet. */
interface Waiting {
	readonly descriptor: number;
	/** The descriptor given to the library. */
	readonly held: number;
	readonly far: number;
	readonly label: string;
	readonly response: Response;
	turns: number;
}

/**
 * Connections whose client address comes from a PROXY header. uWebSockets.js supports only version 2 of such headers, accepts any number of them on a
 * connection, and has no other way to recognise the connection of a request. So it gets a header with a random label instead of the address: a header
 * that a client sends itself has no known label.
 *
 * The shard cannot insert bytes into the client's connection for the library to read. So the library first gets a local socket that contains only the
 * header. After it has read the header, it is paused for a moment, and its descriptor is made to refer to the client's connection.
 *
 * Owned by the shard's loop. Bound: one entry per descriptor. Costs five system calls and a turn of the loop per connection, and nothing for connections
 * without a PROXY header.
 */
export class LabelledSockets {
	readonly #parts: LabelledSocketsParts;
	readonly #addresses = new Map<string, string>();
	/** Last label of each descriptor. If a client sends another header, its label cannot be read; the descriptor's next user then removes it. */
	readonly #labels = new Map<number, string>();
	readonly #waiting = new Set<Waiting>();
	/** Set by the library's callback while a connection is given to it. */
	#opened: Response | null = null;
	#opening = false;
	#closed = false;

	constructor(parts: LabelledSocketsParts) {
		this.#parts = parts;
	}

	/** Number of known connections: open and not upgraded. */
	get count(): number {
		return this.#addresses.size;
	}

	/** Serves a connection and takes ownership of its descriptor. @throws NativeError without a free descriptor: then the caller still owns it. */
	adopt(descriptor: number, address: string): void {
		const label = randomBytes(labelBytes);
		const [held, far] = socketPair();
		try {
			sendAll(far, proxyHeader(label, ""));
		} catch (error) {
			closeDescriptor(held);
			closeDescriptor(far);
			throw error;
		}
		this.#opening = true;
		this.#opened = null;
		try {
			this.#parts.app.adopt(held);
		} catch (error) {
			closeDescriptor(far);
			// The library owns the descriptor once it has opened a connection for it.
			if (this.#opened === null) closeDescriptor(held);
			else (this.#opened as Response).close();
			throw error;
		} finally {
			this.#opening = false;
		}
		const response = this.#opened!;
		const text = label.toString("latin1");
		this.#addresses.delete(this.#labels.get(held) ?? "");
		this.#labels.set(held, text);
		this.#addresses.set(text, address);
		const waiting = { descriptor, held, far, label: text, response, turns: 0 };
		this.#waiting.add(waiting);
		setImmediate(() => this.#look(waiting));
	}

	/** Call when a connection has opened. True if it is being adopted. */
	opened(response: Response): boolean {
		if (this.#opening) this.#opened = response;
		return this.#opening;
	}

	/** The client's address; null = the connection has no known label, so its client has sent a header itself. */
	addressOf(response: Response): string | null {
		return this.#addresses.get(labelOf(response)) ?? null;
	}

	/** Call when the connection has ended or was upgraded. */
	forget(response: Response): void {
		this.#addresses.delete(labelOf(response));
	}

	/** Call before the library closes all connections. */
	close(): void {
		this.#closed = true;
		for (const waiting of this.#waiting) this.#giveUp(waiting);
	}

	#look(waiting: Waiting): void {
		if (this.#closed) return;
		try {
			if (unreadBytes(waiting.held) === 0) this.#replace(waiting);
			else if (waiting.turns++ < turnsMax) setImmediate(() => this.#look(waiting));
			else throw new Error("uWebSockets.js does not read the start of a connection");
		} catch (error) {
			this.#giveUp(waiting);
			waiting.response.close();
			this.#parts.onError(error);
		}
	}

	#replace(waiting: Waiting): void {
		const { response, held, descriptor, far } = waiting;
		// While paused, the library does not poll the descriptor. After that it polls the new connection.
		response.pause();
		replaceDescriptor(held, descriptor);
		this.#waiting.delete(waiting);
		closeDescriptor(descriptor);
		closeDescriptor(far);
		response.resume();
		this.#parts.served(response);
	}

	#giveUp(waiting: Waiting): void {
		const { descriptor, far, label } = waiting;
		if (!this.#waiting.delete(waiting)) return;
		this.#addresses.delete(label);
		closeDescriptor(descriptor);
		closeDescriptor(far);
	}
}

function labelOf(response: Response): string {
	return Buffer.from(response.getProxiedRemoteAddress()).toString("latin1");
}
