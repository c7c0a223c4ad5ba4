import type { StreamNeeded } from "@shardcast/http";
import type { GuardedApp, Response } from "../sockets-app.ts";
import type { Aborts } from "./sockets-bodies.ts";
import { writeHead } from "./sockets-http.ts";
import { SocketStream, type StreamTurns } from "./sockets-stream.ts";

/** Proxies close answers that are silent for long, most of them after a minute. An idle part is written after one to two of these intervals. */
const usualIdleMs = 10_000;

/**
 * Answers in parts. Owned by the shard's loop. Bound: each counts as a connection, and its writer must limit what waits (`ReplyStream.bufferedBytes`).
 * One timer serves all streams with an idle part, while there are any.
 */
export class Streams implements StreamTurns {
	readonly #app: Pick<GuardedApp, "aborted" | "writable">;
	readonly #idleMs: number;
	readonly #idle = new Set<SocketStream>();
	#unflushed: SocketStream[] = [];
	#timer: NodeJS.Timeout | undefined;

	constructor(app: Pick<GuardedApp, "aborted" | "writable">, idleMs = usualIdleMs) {
		this.#app = app;
		this.#idleMs = idleMs;
	}

	/** @param aborts of a request whose body was read; null = there is no callback yet for a client that goes. */
	open(response: Response, { head, start }: StreamNeeded, aborts: Aborts | null = null): void {
		const stream = new SocketStream(response, start, this);
		if (start.idlePart !== undefined) {
			this.#idle.add(stream);
			this.#timer ??= setInterval(() => this.#tick(), this.#idleMs);
		}
		if (aborts === null) this.#app.aborted(response, () => stream.aborted());
		else aborts.onGone = () => stream.aborted();
		this.#app.writable(response, () => stream.writable());
		try {
			response.cork(() => {
				writeHead(response, head);
				response.writeHeader("Connection", "close");
				start.opened(stream);
				stream.flush();
			});
		} catch (error) {
			response.close();
			throw error;
		}
	}

	/** In a microtask, so that the current flush, timer or callback of the library writes all of its parts first. */
	flushLater(stream: SocketStream): void {
		if (this.#unflushed.push(stream) > 1) return;
		queueMicrotask(() => {
			const streams = this.#unflushed;
			this.#unflushed = [];
			for (const each of streams) each.flush();
		});
	}

	over(stream: SocketStream): void {
		this.#idle.delete(stream);
		if (this.#idle.size > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	#tick(): void {
		for (const stream of this.#idle) stream.tick();
	}
}
