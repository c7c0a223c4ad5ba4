import { setImmediate as nextTurn } from "node:timers/promises";

export interface WaitingMessagesLimits {
	/** Most bytes of all waiting messages. */
	readonly bytesMax: number;
	/** Most bytes of a sender, so that one that floods the shard is refused before it takes room from others. */
	readonly senderBytesMax: number;
	/** Most messages of a sender, since small ones take more heap than their bytes. */
	readonly senderMessagesMax: number;
}

/** Handles a message. @returns a promise that never rejects, if its handlers wait. */
export type Handle = () => Promise<void> | undefined;

interface Line {
	/** In order; null for the one being handled. */
	readonly messages: ({ readonly handle: Handle; readonly bytes: number } | null)[];
	bytes: number;
	/** Number of waiting messages, including the one being handled. */
	count: number;
}

/** Bytes counted per waiting message besides its payload, so that a flood of empty ones is bounded too. */
const overheadBytes = 256;
/** Consecutive messages whose handlers did not wait, after which the loop polls its sockets. */
const messagesPerTurn = 64;

/**
 * Messages whose handlers wait, and those behind them. Each sender has a queue, so its order is kept and other senders do not wait. uWebSockets.js
 * cannot stop reading from a WebSocket, so its frames are kept here. Owned by the shard's loop. Bounds: bytes of all, bytes and number of a sender's
 * messages; when one is reached, `hasRoom` returns false and the caller refuses the message. The caller limits how long a message waits.
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

	/** Number of messages that wait for a handler or behind another message. */
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

	/** Whether another message may wait. */
	hasRoom(sender: object, payloadBytes: number): boolean {
		if (this.#bytes === 0) return true;
		const bytes = payloadBytes + overheadBytes;
		if (this.#bytes + bytes > this.#limits.bytesMax) return false;
		const line = this.#lines.get(sender);
		if (line === undefined) return true;
		return line.count < this.#limits.senderMessagesMax && line.bytes + bytes <= this.#limits.senderBytesMax;
	}

	/** Adds a message whose handlers wait. @param handled never rejects. */
	add(sender: object, payloadBytes: number, handled: Promise<void>): void {
		const known = this.#lines.get(sender);
		if (known !== undefined) {
			// Its handlers have published a message of the same sender, which waits too. Later messages wait behind both.
			known.messages.push({ handle: () => handled, bytes: this.#keep(known, payloadBytes) });
			return;
		}
		const line: Line = { messages: [], bytes: 0, count: 0 };
		const bytes = this.#keep(line, payloadBytes);
		this.#lines.set(sender, line);
		void this.#work(sender, line, handled, bytes);
	}

	/** Handles a message after all earlier ones of its sender. Call only if `isBehind` is true. */
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
			// Handled messages are removed in large pieces, since removing the first element of an array is slow.
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
