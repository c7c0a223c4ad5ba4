import type { ReplyStream, StreamStart } from "@shardcast/http";
import type { Response } from "./sockets-app.ts";

/** What is given to the library in one write. While a client does not read, so much at most lies there, uncounted; all else waits here. */
const sliceBytesMax = 64 * 1024;
/** Parts of one turn leave together, unless they are already so long. */
const turnBytesMax = 32 * 1024;

/** What the streams of a shard share. */
export interface StreamTurns {
	/** Calls `flush` of the stream when the present callback is over. */
	flushLater(stream: SocketStream): void;
	over(stream: SocketStream): void;
}

/**
 * One answer in parts. The library tells neither how many bytes it holds nor when it has written them: it only says of each write whether
 * something was left. So parts queue up here while something is, and it gets the next slice when the socket is writable.
 *
 * Cost: a copy of each part, and one system call for all parts of a turn.
 */
export class SocketStream implements ReplyStream {
	readonly #response: Response;
	readonly #start: StreamStart;
	readonly #turns: StreamTurns;
	#parts: Uint8Array[] = [];
	#partsBytes = 0;
	/** Of the slice that the library could not write as a whole, at most; 0 = it could. */
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
			// Asked to close as well, the library would write that header here, into the body. The client has been told; it has 10 s.
			this.#response.end();
		});
		this.#over();
	}

	cut(): void {
		if (this.#isOver) return;
		this.#over();
		this.#response.close();
	}

	/** Writes what waits, as far as the client reads it. */
	flush(): void {
		while (!this.#isOver && this.#leftBytes === 0 && this.#parts.length > 0) this.#write(this.#slice());
	}

	/** The socket takes more. */
	writable(): void {
		if (this.#isOver) return;
		this.#leftBytes = 0;
		// The library leaves it to the next write to send what it has left; a cork without one will do.
		if (this.#parts.length === 0) this.#response.cork(() => {});
		else this.flush();
		this.#start.writable?.();
	}

	aborted(): void {
		if (!this.#isOver) this.#over();
	}

	/** Some seconds have passed. */
	tick(): void {
		const { idlePart } = this.#start;
		if (idlePart === undefined) return;
		if (this.#isIdle && this.#leftBytes === 0) this.#write(Buffer.from(idlePart));
		this.#isIdle = true;
	}

	/** Takes out what one write may have. */
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
