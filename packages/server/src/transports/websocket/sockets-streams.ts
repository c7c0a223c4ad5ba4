import type { ReplyStream, StreamStart, StreamWanted } from "@shardcast/http";
import type { GuardedApp, Response } from "./sockets-app.ts";
import { writeHead } from "./sockets-http.ts";

/** Proxies in between cut an answer that is silent for long, most of them after a minute; an idle part is written after one to two of these. */
const usualIdleMs = 10_000;

/**
 * Answers that come in parts. One owner, the shard's loop. Bound: each is a connection and counts as such; how much waits for one is its
 * writer's to bound (`ReplyStream.bufferedBytes`). One timer for all of them, while there are any.
 */
export class Streams {
	readonly #app: Pick<GuardedApp, "stream">;
	readonly #idleMs: number;
	readonly #open = new Set<SocketStream>();
	#timer: NodeJS.Timeout | undefined;

	constructor(app: Pick<GuardedApp, "stream">, idleMs = usualIdleMs) {
		this.#app = app;
		this.#idleMs = idleMs;
	}

	open(response: Response, { head, start }: StreamWanted): void {
		const stream = new SocketStream(response, start, () => this.#close(stream));
		this.#open.add(stream);
		this.#timer ??= setInterval(() => this.#tick(), this.#idleMs);
		this.#app.stream(response, { writable: () => stream.writable(), aborted: () => stream.aborted() });
		try {
			response.cork(() => {
				writeHead(response, head);
				start.opened(stream);
			});
		} catch (error) {
			response.close();
			throw error;
		}
	}

	#tick(): void {
		for (const stream of this.#open) stream.tick();
	}

	#close(stream: SocketStream): void {
		this.#open.delete(stream);
		if (this.#open.size > 0) return;
		clearInterval(this.#timer);
		this.#timer = undefined;
	}
}

class SocketStream implements ReplyStream {
	readonly #response: Response;
	readonly #start: StreamStart;
	readonly #onOver: () => void;
	#isOver = false;
	#isIdle = false;
	bufferedBytes = 0;

	constructor(response: Response, start: StreamStart, onOver: () => void) {
		this.#response = response;
		this.#start = start;
		this.#onOver = onOver;
	}

	write(part: string | Uint8Array): number {
		if (this.#isOver) return 0;
		this.#isIdle = false;
		return this.#write(part);
	}

	close(): void {
		if (this.#isOver) return;
		this.#over();
		this.#response.cork(() => this.#response.end(undefined, true));
	}

	/**
	 * The socket takes more. While there is a callback for this, the library leaves it to the next write to send what waits, so something must be
	 * written.
	 */
	writable(): void {
		if (this.#isOver) return;
		if (this.#write(this.#start.idlePart) === 0) this.#start.writable?.();
	}

	aborted(): void {
		if (!this.#isOver) this.#over();
	}

	/** Some seconds have passed. */
	tick(): void {
		if (this.#isIdle && this.bufferedBytes === 0) this.#write(this.#start.idlePart);
		this.#isIdle = true;
	}

	#write(part: string | Uint8Array): number {
		let isWritten = false;
		this.#response.cork(() => {
			isWritten = this.#response.write(part);
		});
		// What is left of what was sent before is not told, so this is at most so much.
		this.bufferedBytes = isWritten ? 0 : this.bufferedBytes + Buffer.byteLength(part);
		return this.bufferedBytes;
	}

	#over(): void {
		this.#isOver = true;
		this.bufferedBytes = 0;
		this.#onOver();
		this.#start.closed();
	}
}
