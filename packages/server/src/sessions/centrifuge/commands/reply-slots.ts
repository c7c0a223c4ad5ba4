import type { Transport } from "../../../transports/transport.ts";

interface Waiting {
	readonly bytes: number;
	readonly take: () => void;
}

/** How often to check whether clients have read their large replies, in milliseconds. */
const checkMs = 5;
/** A client that has not read its reply by then no longer blocks others. */
const readMsMax = 10_000;

/**
 * Limits the memory of large replies. Each stays in this process until its client has read it, so a thousand clients that reconnect together
 * would take the memory of a thousand replies. Only a limited number of bytes is in flight, and one reply is created in each turn of the loop.
 * First come, first served.
 */
export class ReplySlots {
	readonly #bytesMax: number;
	readonly #waiting: Waiting[] = [];
	readonly #reading = new Set<{
		readonly transport: Transport;
		readonly isGone: () => boolean;
		readonly bytes: number;
		readonly untilMs: number;
	}>();
	#bytes = 0;
	#timer: NodeJS.Timeout | null = null;
	#scheduled = false;

	constructor(bytesMax: number) {
		this.#bytesMax = bytesMax;
	}

	/** Bytes in flight. */
	get bytes(): number {
		return this.#bytes;
	}

	/** Resolves in a later turn of the loop, when there is room. The caller must then call `sent` or `release`. */
	take(bytes: number): Promise<void> {
		return new Promise((resolve) => {
			this.#waiting.push({ bytes, take: resolve });
			this.#schedule();
		});
	}

	/** The reply was handed to the transport. Its bytes are released when the client has read it. */
	sent(bytes: number, transport: Transport, isGone: () => boolean): void {
		this.#reading.add({ transport, isGone, bytes, untilMs: performance.now() + readMsMax });
		this.#timer ??= setInterval(this.#look, checkMs);
		// Bytes that the kernel took at once are no longer in this process.
		this.#look();
	}

	release(bytes: number): void {
		this.#bytes -= bytes;
		this.#schedule();
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	readonly #look = (): void => {
		for (const reply of this.#reading) {
			const { transport, isGone, bytes, untilMs } = reply;
			if (!isGone() && transport.getBufferedAmount() > 0 && performance.now() < untilMs) continue;
			this.#reading.delete(reply);
			this.release(bytes);
		}
		if (this.#reading.size === 0) this.stop();
	};

	#schedule(): void {
		if (this.#scheduled || this.#waiting.length === 0) return;
		this.#scheduled = true;
		setImmediate(() => {
			this.#scheduled = false;
			const next = this.#waiting[0];
			// A reply that is larger than the limit goes alone.
			if (next === undefined || (this.#bytes > 0 && this.#bytes + next.bytes > this.#bytesMax)) return;
			this.#waiting.shift();
			this.#bytes += next.bytes;
			next.take();
			this.#schedule();
		});
	}
}
