import type { Transport } from "../../../transports/transport.ts";

interface Waiting {
	readonly bytes: number;
	readonly take: () => void;
}

/** How often clients with large replies are looked at. */
const lookMs = 5;
/** A client that has not read its reply by then does not hold up the others any longer. */
const readMsMax = 10_000;

/**
 * Large replies on their way to clients. Each lies in this process until its client has read it, so that a thousand clients that come back together
 * would take a thousand replies of memory: only so many bytes are on their way at a time, and one reply is made in a turn of the loop. First come,
 * first served.
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

	/** Bytes on their way. */
	get bytes(): number {
		return this.#bytes;
	}

	/** Resolves in a later turn of the loop, when there is room. The caller gives it back by `sent` or `release`. */
	take(bytes: number): Promise<void> {
		return new Promise((resolve) => {
			this.#waiting.push({ bytes, take: resolve });
			this.#schedule();
		});
	}

	/** The reply was handed to the transport: the room is free when the client has read it. */
	sent(bytes: number, transport: Transport, isGone: () => boolean): void {
		this.#reading.add({ transport, isGone, bytes, untilMs: performance.now() + readMsMax });
		this.#timer ??= setInterval(this.#look, lookMs);
		// What the kernel has taken at once is not here any more.
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
			// One that is larger than all of it goes alone.
			if (next === undefined || (this.#bytes > 0 && this.#bytes + next.bytes > this.#bytesMax)) return;
			this.#waiting.shift();
			this.#bytes += next.bytes;
			next.take();
			this.#schedule();
		});
	}
}
