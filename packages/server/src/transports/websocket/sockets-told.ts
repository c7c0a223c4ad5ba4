import { randomBytes } from "node:crypto";
import { proxyHeader } from "@shardcast/http";
import { closeDescriptor, replaceDescriptor, sendAll, socketPair, unreadBytes } from "@shardcast/native";
import type { GuardedApp, Response } from "./sockets-app.ts";

export interface ToldSocketsParts {
	readonly app: Pick<GuardedApp, "adopt">;
	/** A connection is served now; its client may be too many. */
	readonly served: (response: Response) => void;
	readonly onError: (error: unknown) => void;
}

const labelBytes = 16;
/** The library reads the label in the next turn of the loop; after so many something is wrong. */
const turnsMax = 100;

/** A connection that the library does not have yet. */
interface Waiting {
	readonly descriptor: number;
	/** The descriptor that the library has. */
	readonly held: number;
	readonly far: number;
	readonly label: string;
	readonly response: Response;
	turns: number;
}

/**
 * Connections whose clients' addresses PROXY headers have told. uWebSockets.js knows such headers of version 2 only, believes any number of
 * them on one connection, and gives no other way to recognise a connection whose requests it hands over. So it gets a header from us, in which
 * a random label stands for the address: whatever else a client sends as a header is no label that we know.
 *
 * The client's connection cannot be written to for the library to read. So the library first gets a socket of this machine that holds the
 * header and nothing else. When it has read that, it is paused for a moment, and its descriptor becomes the client's connection.
 *
 * One owner, the shard's loop. Bound: one entry for each descriptor. Costs five system calls and a turn of the
 * loop for each connection, and nothing for connections without a told address.
 */
export class ToldSockets {
	readonly #parts: ToldSocketsParts;
	readonly #addresses = new Map<string, string>();
	/** The last label that each descriptor had. A client that sends another header hides its label from us: the descriptor's next user finds it. */
	readonly #labels = new Map<number, string>();
	readonly #waiting = new Set<Waiting>();
	/** Set while the library is given a connection: it tells of it before it returns. */
	#opened: Response | null = null;
	#opening = false;
	#closed = false;

	constructor(parts: ToldSocketsParts) {
		this.#parts = parts;
	}

	/** Connections that are known: open and not upgraded. */
	get count(): number {
		return this.#addresses.size;
	}

	/** Serves a connection whose descriptor is taken over. @throws NativeError without one to spare: the descriptor is the caller's then. */
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

	/** A connection has opened; true when it is one that is being adopted. */
	opened(response: Response): boolean {
		if (this.#opening) this.#opened = response;
		return this.#opening;
	}

	/** The client's address; null = the connection has no label, so its client has sent a header itself. */
	addressOf(response: Response): string | null {
		return this.#addresses.get(labelOf(response)) ?? null;
	}

	/** The connection has ended, or is a WebSocket from now on. */
	forget(response: Response): void {
		this.#addresses.delete(labelOf(response));
	}

	/** The library is about to close all that it has. */
	close(): void {
		this.#closed = true;
		for (const waiting of this.#waiting) this.#giveUp(waiting);
	}

	#look(waiting: Waiting): void {
		if (this.#closed) return;
		try {
			if (unreadBytes(waiting.held) === 0) this.#replace(waiting);
			else if (waiting.turns++ < turnsMax) setImmediate(() => this.#look(waiting));
			else throw new Error("uWebSockets.js does not read what a connection begins with");
		} catch (error) {
			this.#giveUp(waiting);
			waiting.response.close();
			this.#parts.onError(error);
		}
	}

	#replace(waiting: Waiting): void {
		const { response, held, descriptor, far } = waiting;
		// While it is paused the library does not wait for the descriptor; then it waits for what the descriptor has become.
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
