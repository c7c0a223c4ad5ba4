import type { ReplyStream, StreamStart } from "@shardcast/http";
import type { Response } from "../sockets-app.ts";

/** Most bytes passed to the library in one write. While a client does not read, at most this much is in the library, uncounted; the rest waits here. */
const sliceBytesMax = 64 * 1024;
/** Parts of a turn are sent together, but no later than at this length. */
const turnBytesMax = 32 * 1024;

/** Shared by all streams of a shard. */
export interface StreamTurns {
	/** Calls the stream's `flush` when the current callback has returned. */
	flushLater(stream: SocketStream): void;
	over(stream: SocketStream): void;
}

/**
 * An answer in parts. The library reports neither how many bytes it holds nor when it has written them, only whether a write left something. While it
 * did, parts are queued here, and the library gets the next slice when the socket is writable.
 *
 * Cost: a copy of each part, and one system call for all parts of a turn.
 */
export class SocketStream implements ReplyStream {
	readonly #response: Response;
	readonly #start: StreamStart;
	readonly #turns: StreamTurns;
	#parts: Uint8Array[] = [];
	#partsBytes = 0;
	/** Upper bound on the unwritten bytes of the last slice; 0 = it was written completely. */
	#leftBytes = 0;
	#isOver = false;
	#isIdle = false;

	constructor(response: Response, start: StreamStart, turns: StreamTurns) {
		this.#response = response;
		this.#start = start;
		this.#turns = turns;
	}

	get bufferedBytes(): number {
		return this.#leftBytes === 0 ? 0 : this.#leftBytes + this.#partsBytes;
	}

	write(part: string | Uint8Array): number {
		if (this.#isOver || part.length === 0) return this.bufferedBytes;
		this.#isIdle = false;
		const copy = Buffer.from(part as string);
		if (this.#parts.push(copy) === 1 && this.#leftBytes === 0) this.#turns.flushLater(this);
		this.#partsBytes += copy.length;
		if (this.#partsBytes >= turnBytesMax) this.flush();
		return this.bufferedBytes;
	}

	remoteAddress(): ArrayBuffer {
		return this.#isOver ? new ArrayBuffer(0) : this.#response.getRemoteAddressAsText();
	}

	close(): void {
		if (this.#isOver) return;
		const rest = Buffer.concat(this.#parts);
		this.#response.cork(() => {
			if (rest.length > 0) this.#response.write(rest);
			// With `closeConnection` the library would write that header here, into the body. The client knows that it must close, and has 10 s.
			this.#response.end();
		});
		this.#over();
	}

	cut(): void {
		if (this.#isOver) return;
		this.#over();
		this.#response.close();
	}

	/** Writes waiting parts, as far as the client reads. */
	flush(): void {
		while (!this.#isOver && this.#leftBytes === 0 && this.#parts.length > 0) this.#write(this.#slice());
	}

	/** Call when the socket accepts more. */
	writable(): void {
		if (this.#isOver) return;
		this.#leftBytes = 0;
		// The library sends its rest only with the next write; an empty cork has the same effect.
		if (this.#parts.length === 0) this.#response.cork(() => {});
		else this.flush();
		this.#start.writable?.();
	}

	aborted(): void {
		if (!this.#isOver) this.#over();
	}

	/** Called every few seconds. */
	tick(): void {
		const { idlePart } = this.#start;
		if (idlePart === undefined) return;
		if (this.#isIdle && this.#leftBytes === 0) this.#write(Buffer.from(idlePart));
		this.#isIdle = true;
	}

	/** Removes and returns the bytes for one write. */
	#slice(): Uint8Array {
		const parts = this.#parts;
		let count = 0;
		let bytes = 0;
		while (count < parts.length && (count === 0 || bytes + parts[count]!.length <= sliceBytesMax)) bytes += parts[count++]!.length;
		const taken = parts.splice(0, count);
		let slice = taken.length === 1 ? taken[0]! : Buffer.concat(taken, bytes);
		if (slice.length > sliceBytesMax) {
			parts.unshift(slice.subarray(sliceBytesMax));
			slice = slice.subarray(0, sliceBytesMax);
		}
		this.#partsBytes -= slice.length;
		return slice;
	}

	#write(slice: Uint8Array): void {
		let isWritten = false;
		this.#response.cork(() => {
			isWritten = this.#response.write(slice);
		});
		this.#leftBytes = isWritten ? 0 : slice.length;
	}

	#over(): void {
		this.#isOver = true;
		this.#parts = [];
		this.#partsBytes = 0;
		this.#leftBytes = 0;
		this.#turns.over(this);
		this.#start.closed();
	}
}
