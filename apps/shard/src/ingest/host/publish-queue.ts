import type { OutgoingMessage } from "../ingest-messages.ts";

/** Messages that may wait for Kafka's answer. */
const waitingMax = 8192;
const waitingBytesMax = 16 * 1024 * 1024;

/**
 * Clients' messages on their way to Kafka: remembers who waits for which answer, and sends those of one turn of the loop
 * together. **On the shard's loop.** Full: `send` says false, the caller refuses its caller.
 */
export class PublishQueue {
	readonly #post: (messages: readonly OutgoingMessage[]) => void;
	readonly #waiting = new Map<number, { readonly done: (error: string | null) => void; readonly bytes: number }>();
	#batch: OutgoingMessage[] = [];
	#bytes = 0;
	#lastId = 0;

	constructor(post: (messages: readonly OutgoingMessage[]) => void) {
		this.#post = post;
	}

	get waiting(): number {
		return this.#waiting.size;
	}

	send(message: Omit<OutgoingMessage, "id">, done: (error: string | null) => void): boolean {
		const bytes = message.payload.length;
		if (this.#waiting.size >= waitingMax || this.#bytes + bytes > waitingBytesMax) return false;
		const id = ++this.#lastId;
		this.#bytes += bytes;
		this.#waiting.set(id, { done, bytes });
		// A copy, since sending clones the whole memory that a view is of: a ring, at worst.
		this.#batch.push({ ...message, id, payload: message.payload.slice() });
		if (this.#batch.length === 1) setImmediate(() => this.#flush());
		return true;
	}

	settle(id: number, error: string | null): void {
		const waiting = this.#waiting.get(id);
		if (waiting === undefined) return;
		this.#waiting.delete(id);
		this.#bytes -= waiting.bytes;
		waiting.done(error);
	}

	/** Nobody will answer any more. */
	fail(error: string): void {
		for (const id of [...this.#waiting.keys()]) this.settle(id, error);
	}

	#flush(): void {
		const batch = this.#batch;
		this.#batch = [];
		this.#post(batch);
	}
}
