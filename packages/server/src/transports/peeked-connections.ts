import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "@shardcast/config";
import { type Reply, replyBytes } from "@shardcast/http";
import { addressText } from "@shardcast/limits";
import { closeDescriptor, duplicate, hasHungUp, NativeError, peek, peerAddress, sendAndClose } from "@shardcast/native";

/** The decision about a connection, from its first bytes. */
export type PeekResult =
	/** `late` is the answer if the rest does not arrive in time, in place of the usual one; the connection does not count as refused then. */
	| { readonly kind: "incomplete"; readonly late?: Reply }
	| { readonly kind: "refused"; readonly reply: Reply }
	/** `take` serves the connection, and takes ownership of its descriptor. */
	| { readonly kind: "complete"; readonly take: (descriptor: number) => void };

export interface PeekedConnectionsParts {
	/** Most bytes to peek at. */
	readonly bytesMax: number;
	/** The refusal for connections from this address, whatever their first bytes; null = check them. */
	readonly refuses: (peer: string) => Reply | null;
	/** @param isChecked the balancer has checked the connection, so its first bytes are complete. */
	readonly read: (bytes: Buffer, length: number, peer: string, isChecked: boolean) => PeekResult;
	/** The answer to a connection whose first bytes do not arrive in time. */
	readonly late: Reply;
	/** Called for a connection that is refused or late. */
	readonly refused: () => void;
	/** The refusal if there is no room for another connection; null if there is. */
	readonly full: () => Reply | null;
	/** Called at each check. */
	readonly timeoutMs: () => number;
	readonly nowMs: () => number;
	readonly onError: (error: unknown) => void;
}

/** A connection whose first bytes are incomplete. */
interface Pending {
	readonly descriptor: number;
	readonly peer: string;
	readonly sinceMs: number;
	late: Reply | undefined;
	intervalMs: number;
	dueMs: number;
}

/** Same limit as in the balancer. */
const pendingMax = 4096;
const intervalMsMin = 1;
const intervalMsMax = 50;

/**
 * Connections whose first bytes are checked before the WebSocket library gets them. They come from the shard's port, where it waits for these bytes, or
 * from the balancer, which has already checked them.
 *
 * It only peeks and reads nothing. Owned by the shard's loop. Bound: `pendingMax`; one more closes the oldest.
 */
export class PeekedConnections {
	readonly #parts: PeekedConnectionsParts;
	readonly #bytes: Buffer;
	/** In order of arrival. */
	readonly #pending = new Set<Pending>();
	#server: Server | null = null;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: PeekedConnectionsParts) {
		this.#parts = parts;
		this.#bytes = Buffer.allocUnsafeSlow(parts.bytesMax);
	}

	/** Number of connections whose first bytes are incomplete. */
	get pending(): number {
		return this.#pending.size;
	}

	/** @returns the port. @throws Error with the reason as its code, such as EADDRINUSE. */
	listen(address: Address): Promise<number> {
		return new Promise((resolve, reject) => {
			const server = createServer({ pauseOnConnect: true, noDelay: true }, (socket) => this.#accept(socket));
			this.#server = server;
			server.once("error", reject);
			server.listen({ ...address, exclusive: true, backlog: 4096 }, () => {
				server.off("error", reject);
				server.on("error", this.#parts.onError);
				const bound = server.address();
				resolve(bound !== null && typeof bound === "object" ? bound.port : 0);
			});
		});
	}

	stopListening(): void {
		this.#server?.close();
		this.#server = null;
	}

	close(): void {
		this.stopListening();
		if (this.#timer !== null) clearTimeout(this.#timer);
		for (const { descriptor } of this.#pending) closeDescriptor(descriptor);
		this.#pending.clear();
	}

	/** Serves a connection that the balancer has checked. */
	adopt(descriptor: number): void {
		this.#take({ descriptor, peer: addressText(peerAddress(descriptor)) }, true);
	}

	#accept(socket: Socket): void {
		const { full, refuses, nowMs, onError } = this.#parts;
		const handle = (socket as unknown as { _handle: { fd: number } | null })._handle;
		const peer = socket.remoteAddress;
		if (handle === null || peer === undefined) {
			socket.destroy();
			return;
		}
		let descriptor: number;
		try {
			descriptor = duplicate(handle.fd);
		} catch (error) {
			onError(error);
			return;
		} finally {
			// This sends nothing, since the connection has another descriptor.
			socket.destroy();
		}
		const noRoom = full();
		if (noRoom !== null) {
			this.#answer(descriptor, noRoom);
			return;
		}
		const refused = refuses(peer);
		if (refused !== null) {
			this.#refuse(descriptor, refused);
			return;
		}
		const sinceMs = nowMs();
		const pending = { descriptor, peer, sinceMs, late: undefined, intervalMs: intervalMsMin, dueMs: sinceMs + intervalMsMin };
		if (this.#take(pending, false)) return;
		for (const oldest of this.#pending) {
			if (this.#pending.size < pendingMax) break;
			this.#expire(oldest);
		}
		this.#pending.add(pending);
		this.#timer ??= setTimeout(this.#onTimer, intervalMsMin);
	}

	/** False = it must be checked again. */
	#take(connection: Pick<Pending, "descriptor" | "peer"> & { late?: Reply | undefined }, isChecked: boolean): boolean {
		const { read, onError } = this.#parts;
		const { descriptor, peer } = connection;
		try {
			const length = peek(descriptor, this.#bytes);
			if (length < 0 && !isChecked) return false;
			if (length <= 0) {
				closeDescriptor(descriptor);
				return true;
			}
			const beginning = read(this.#bytes, length, peer, isChecked);
			if (beginning.kind === "complete") beginning.take(descriptor);
			else if (beginning.kind === "refused") this.#refuse(descriptor, beginning.reply);
			else if (!isChecked && !hasHungUp(descriptor)) {
				connection.late = beginning.late;
				return false;
			} else closeDescriptor(descriptor);
		} catch (error) {
			closeDescriptor(descriptor);
			// The client has broken the connection.
			if (!(error instanceof NativeError && error.code === "ECONNRESET")) onError(error);
		}
		return true;
	}

	readonly #onTimer = (): void => {
		this.#timer = null;
		const now = this.#parts.nowMs();
		const timeoutMs = this.#parts.timeoutMs();
		let nextMs = Number.POSITIVE_INFINITY;
		for (const pending of this.#pending) {
			if (pending.dueMs <= now) {
				if (this.#take(pending, false)) {
					this.#pending.delete(pending);
					continue;
				}
				if (now - pending.sinceMs >= timeoutMs) {
					this.#expire(pending);
					continue;
				}
				pending.intervalMs = Math.min(2 * pending.intervalMs, intervalMsMax);
				pending.dueMs = now + pending.intervalMs;
			}
			nextMs = Math.min(nextMs, pending.dueMs);
		}
		if (this.#pending.size > 0) this.#timer = setTimeout(this.#onTimer, Math.max(1, nextMs - now));
	};

	#expire(pending: Pending): void {
		this.#pending.delete(pending);
		if (pending.late === undefined) this.#refuse(pending.descriptor, this.#parts.late);
		else this.#answer(pending.descriptor, pending.late);
	}

	#refuse(descriptor: number, reply: Reply): void {
		this.#parts.refused();
		this.#answer(descriptor, reply);
	}

	#answer(descriptor: number, reply: Reply): void {
		sendAndClose(descriptor, replyBytes(reply, false), this.#bytes);
	}
}
