import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "@shardcast/config";
import { proxyHeaderBytesMax, type Reply, readProxyHeader, refusal, replyBytes } from "@shardcast/http";
import { addressText } from "@shardcast/limits";
import { closeDescriptor, discard, duplicate, hasHungUp, NativeError, peek, peerAddress, sayAndClose } from "@shardcast/native";
import type { Counters } from "@shardcast/scoreboard";

export interface PrefixedConnectionsParts {
	/** Whether a connection from this address may say whose it is. */
	readonly isTrusted: (peer: string) => boolean;
	/** Knows our own balancer by what its header shows; null = it does not connect here. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** Serves a connection for a client at this address; the descriptor is taken over. */
	readonly adopt: (descriptor: number, address: string) => void;
	/** Why there is no room for one more; null = there is. */
	readonly full: () => Reply | null;
	/** Read at each look. */
	readonly timeoutMs: () => number;
	readonly nowMs: () => number;
	readonly counters: Pick<Counters, "add">;
	readonly onError: (error: unknown) => void;
}

/** A connection whose header has not come whole. */
interface Pending {
	readonly descriptor: number;
	readonly peer: string;
	readonly sinceMs: number;
	intervalMs: number;
	dueMs: number;
}

/** As many as the balancer waits for. */
const pendingMax = 4096;
const intervalMsMin = 1;
const intervalMsMax = 50;
const peekBytes = proxyHeaderBytesMax + 1;
const carriageReturn = 0x0d;

/**
 * Connections that begin with a PROXY header (`--proxy-protocol`): takes the header off and hands on the rest with the address that the header
 * has. From the shard's own port, where it waits for the header, and from the balancer, which has seen it.
 *
 * A connection is peeked at until its header is there, and nothing behind the header is read. One owner, the shard's loop. Bound: `pendingMax`;
 * one more closes the oldest.
 */
export class PrefixedConnections {
	readonly #parts: PrefixedConnectionsParts;
	readonly #bytes = Buffer.allocUnsafeSlow(peekBytes);
	/** In order of arrival. */
	readonly #pending = new Set<Pending>();
	#server: Server | null = null;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: PrefixedConnectionsParts) {
		this.#parts = parts;
	}

	/** Connections whose header has not come. */
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

	/** Serves a connection that the balancer has looked at: the whole header is there, and it was a trusted proxy's. */
	adopt(descriptor: number): void {
		this.#take(descriptor, addressText(peerAddress(descriptor)), true);
	}

	#accept(socket: Socket): void {
		const { full, isTrusted, isProxy, nowMs, onError } = this.#parts;
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
			// That sends nothing: the connection has another descriptor.
			socket.destroy();
		}
		const noRoom = full();
		if (noRoom !== null) {
			this.#answer(descriptor, noRoom);
			return;
		}
		// Our own balancer is known by its header only.
		if (!isTrusted(peer) && isProxy === null) {
			this.#refuse(descriptor);
			return;
		}
		const sinceMs = nowMs();
		if (this.#take(descriptor, peer, false)) return;
		for (const oldest of this.#pending) {
			if (this.#pending.size < pendingMax) break;
			this.#expire(oldest);
		}
		this.#pending.add({ descriptor, peer, sinceMs, intervalMs: intervalMsMin, dueMs: sinceMs + intervalMsMin });
		this.#timer ??= setTimeout(this.#onTimer, intervalMsMin);
	}

	/** False = it has to be looked at again. */
	#take(descriptor: number, peer: string, isChecked: boolean): boolean {
		const { isTrusted, isProxy, adopt, onError } = this.#parts;
		try {
			const length = peek(descriptor, this.#bytes);
			if (length < 0 && !isChecked) return false;
			if (length <= 0) {
				closeDescriptor(descriptor);
				return true;
			}
			const header = readProxyHeader(this.#bytes, length);
			if (header.status === "incomplete" && !isChecked) {
				if (!hasHungUp(descriptor)) return false;
				closeDescriptor(descriptor);
				return true;
			}
			const mayTell =
				isChecked || isTrusted(peer) || (header.status === "complete" && header.token !== "" && isProxy?.(header.token) === true);
			// A second header would be the client's.
			if (header.status !== "complete" || !mayTell || (length > header.bytes && this.#bytes[header.bytes] === carriageReturn)) {
				this.#refuse(descriptor);
				return true;
			}
			discard(descriptor, header.bytes);
			adopt(descriptor, header.address ?? peer);
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
				if (this.#take(pending.descriptor, pending.peer, false)) {
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
		this.#parts.counters.add("refusedProxyHeader", 1);
		sayAndClose(pending.descriptor, replyBytes(refusal("head_timeout", "the PROXY header did not arrive in time"), false), this.#bytes);
	}

	#refuse(descriptor: number): void {
		this.#parts.counters.add("refusedProxyHeader", 1);
		this.#answer(descriptor, refusal("proxy_header"));
	}

	#answer(descriptor: number, reply: Reply): void {
		sayAndClose(descriptor, replyBytes(reply, false), this.#bytes);
	}
}
