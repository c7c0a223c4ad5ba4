import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Certificate } from "@shardcast/config";
import { GrowingBytes } from "@shardcast/http";
import { DeadlineSet, HeadParser, HeadStatus, headRefusal, type Refusal, type Responder, ServerContexts } from "@shardcast/relay";

interface TlsEndParts {
	/** At least one; the first is for clients without a known server name. */
	readonly certificates: readonly Certificate[];
	readonly responder: Responder;
	readonly headBytesMax: number;
	readonly headTimeoutMs: number;
}

/** Most handshakes at once; one more drops the oldest. */
const handshakesMax = 256;

/**
 * Ends TLS in the balancer, only for connections that no shard takes, so that their clients get a readable answer, and /health works when all shards are
 * down. All other connections are decrypted in their shard.
 *
 * Owned by the balancer's loop. Bound: `handshakesMax`.
 */
export class TlsEnd {
	readonly #parts: TlsEndParts;
	readonly #handshakes: DeadlineSet<TLSSocket>;
	readonly #contexts: ServerContexts;

	constructor(parts: TlsEndParts) {
		this.#parts = parts;
		this.#contexts = new ServerContexts(parts.certificates);
		this.#handshakes = new DeadlineSet({
			lifetimeMs: parts.headTimeoutMs,
			itemsMax: handshakesMax,
			expire: (socket) => {
				parts.responder.count("closedEarly", 1);
				socket.destroy();
			},
		});
	}

	/** Number of connections whose request has not arrived yet. */
	get pending(): number {
		return this.#handshakes.size;
	}

	set headTimeoutMs(value: number) {
		this.#handshakes.lifetimeMs = value;
	}

	/** Sets the certificates for new connections. @throws Error when one cannot be used. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#contexts.use(certificates);
	}

	/** Takes over a connection that no shard takes. Answers requests that the balancer handles itself, and refuses all others. */
	refuse(connection: Socket, refusal: Refusal, address: string): void {
		const { responder, headBytesMax } = this.#parts;
		const socket = this.#contexts.secure(connection);
		const head = new HeadParser();
		const bytes = new GrowingBytes();
		const early = () => {
			if (settle()) responder.count("closedEarly", 1);
			socket.destroy();
		};
		/** False when it is settled already. */
		const settle = (): boolean => {
			socket.off("data", onData).off("end", early);
			return this.#handshakes.delete(socket);
		};
		const onData = (piece: Buffer): void => {
			bytes.append(piece);
			head.parse(bytes.buffer, bytes.length);
			const problem = headRefusal(head, bytes.length, headBytesMax);
			if (problem === null && head.status !== HeadStatus.complete) return;
			settle();
			if (problem === null && responder.isOurs(head, bytes.buffer)) {
				const client = responder.clientAddress(head, bytes.buffer, address);
				const early = Buffer.from(bytes.all().subarray(head.bytes));
				responder.answer(socket, Buffer.from(bytes.buffer.subarray(0, head.bytes)), client, {
					...{ early, unread: 0, bytes: Math.max(0, head.contentLength) },
				});
			} else responder.refuse(socket, problem ?? refusal, head.isHead);
		};
		this.#handshakes.add(socket);
		// After an error the client is gone, or its TLS is not supported.
		socket.on("error", early);
		socket.once("close", early);
		// The client closed before its request: it does not want an answer.
		socket.once("end", early);
		connection.on("error", early);
		socket.on("data", onData);
	}

	/** Drops all connections; returns how many. */
	close(): number {
		const sockets = this.#handshakes.take();
		for (const socket of sockets) socket.destroy();
		return sockets.length;
	}
}
