import { setImmediate as nextTurn } from "node:timers/promises";

export interface WaitingMessagesLimits {
	/** Bytes of all messages that wait. */
	readonly bytesMax: number;
	/** Bytes of one sender's, so that one that floods the shard is refused before it takes the room of the others. */
	readonly senderBytesMax: number;
	/** Messages of one sender: small ones cost the heap more than their bytes say. */
	readonly senderMessagesMax: number;
}

/** Handles one message. @returns a promise, which never rejects, when its handlers wait. */
export type Handle = () => Promise<void> | undefined;

interface Line {
	/** In order; null once it is being handled. */
	readonly messages: ({ readonly handle: Handle; readonly bytes: number } | null)[];
	bytes: number;
	/** Messages that wait, and the one that is being handled. */
	count: number;
}

/** What a message that waits costs besides its payload, so that a flood of empty ones is bounded as well. */
const overheadBytes = 256;
/** Messages in a row whose handlers did not wait, after which the loop looks at its sockets. */
const messagesPerTurn = 64;

/**
 * Messages whose handlers wait, and those that wait behind them: each sender has its own queue, so its order is kept and nobody else
 * waits. One owner, the shard's loop. A WebSocket cannot be told to wait (uWebSockets.js has no way to stop reading from one), so its
 * frames are kept here. Bounds: bytes of all, bytes and number of one sender's; when one is reached `hasRoom` answers false and the caller refuses the
 * message. How long a message may wait the caller bounds.
 */
export class WaitingMessages {
	readonly #limits: WaitingMessagesLimits;
	readonly #lines = new Map<object, Line>();
	#count = 0;
	#bytes = 0;
	#whenNone: (() => void)[] = [];

	constructor(limits: WaitingMessagesLimits) {
		this.#limits = limits;
	}

	/** Messages that wait, for a handler or behind another one. */
	get count(): number {
		return this.#count;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** Whether a message of this sender has to wait behind another one. */
	isBehind(sender: object): boolean {
		return this.#lines.size > 0 && this.#lines.has(sender);
	}

	/** Whether one more may wait. */
	hasRoom(sender: object, payloadBytes: number): boolean {
		if (this.#bytes === 0) return true;
		const bytes = payloadBytes + overheadBytes;
		if (this.#bytes + bytes > this.#limits.bytesMax) return false;
		const line = this.#lines.get(sender);
		if (line === undefined) return true;
		return line.count < this.#limits.senderMessagesMax && line.bytes + bytes <= this.#limits.senderBytesMax;
	}

	/** The handlers of a message wait. @param handled never rejects. */
	add(sender: object, payloadBytes: number, handled: Promise<void>): void {
		const known = this.#lines.get(sender);
		if (known !== undefined) {
			// Its handlers have published a message of the same sender, which waits too. What comes next waits behind both.
			known.messages.push({ handle: () => handled, bytes: this.#keep(known, payloadBytes) });
			return;
		}
		const line: Line = { messages: [], bytes: 0, count: 0 };
		const bytes = this.#keep(line, payloadBytes);
		this.#lines.set(sender, line);
		void this.#work(sender, line, handled, bytes);
	}

	/** Handles a message when all of its sender before it have been; `isBehind` has said that it must wait. */
	addBehind(sender: object, payloadBytes: number, handle: Handle): void {
		const line = this.#lines.get(sender)!;
		line.messages.push({ handle, bytes: this.#keep(line, payloadBytes) });
	}

	/** Resolves when nothing waits. */
	whenNone(): Promise<void> {
		if (this.#count === 0) return Promise.resolve();
		return new Promise((resolve) => this.#whenNone.push(resolve));
	}

	async #work(sender: object, line: Line, first: Promise<void>, firstBytes: number): Promise<void> {
		await first;
		this.#release(line, firstBytes);
		for (let at = 0; at < line.messages.length; at++) {
			const { handle, bytes } = line.messages[at]!;
			line.messages[at] = null;
			const handled = handle();
			if (handled !== undefined) await handled;
			else if (at % messagesPerTurn === messagesPerTurn - 1) await nextTurn();
			this.#release(line, bytes);
			// Those that are done are let go in large pieces: an array gives up its first element slowly.
			if (at === 1023) {
				line.messages.splice(0, 1024);
				at = -1;
			}
		}
		this.#lines.delete(sender);
		if (this.#count > 0) return;
		for (const resolve of this.#whenNone.splice(0)) resolve();
	}

	#keep(line: Line, payloadBytes: number): number {
		const bytes = payloadBytes + overheadBytes;
		this.#count++;
		this.#bytes += bytes;
		line.bytes += bytes;
		line.count++;
		return bytes;
	}

	#release(line: Line, bytes: number): void {
		this.#count--;
		this.#bytes -= bytes;
		line.bytes -= bytes;
		line.count--;
	}
}
