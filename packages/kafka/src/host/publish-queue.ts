import { monotonicMs } from "@shardcast/wire";
import type { OutgoingMessage } from "../ingest-messages.ts";

/** Limits on messages that wait for Kafka's answer, and on their bytes, channel names included. */
const waitingMax = 8192;
const waitingBytesMax = 16 * 1024 * 1024;
/** Share that one client may use, so that a client that floods the shard is refused before it takes room from others. */
const clientShare = 0.25;
/** The longest wait for an answer. The producer gives up after about ten seconds when the broker is down, later if the broker hangs. */
export const answerMsMax = 15_000;
const lookMs = 500;
/** Bytes counted per message in addition to its payload and channel names. */
const overheadBytes = 128;

interface Waiting {
	readonly done: (error: string | null) => void;
	readonly bytes: number;
	readonly sender: string;
	readonly expiresAtMs: number;
}

interface PublishQueueParts {
	/** Returns false when no worker is running. Then the queue keeps the messages until `resume`. */
	readonly post: (messages: readonly OutgoingMessage[]) => boolean;
	/** Called with the number of messages that got no answer in time, or will get none. */
	readonly onUnanswered: (count: number) => void;
	readonly nowMs?: () => number;
}

/**
 * Passes clients' messages to the worker and matches its answers to them. Messages of one turn of the loop are sent together.
 * **On the shard's loop.** When it is full or closed, `send` returns false and the caller refuses the message. Every accepted message is
 * answered once, within `answerMsMax`.
 */
export class PublishQueue {
	readonly #parts: PublishQueueParts;
	readonly #nowMs: () => number;
	/** By id, in order of expiry. */
	readonly #waiting = new Map<number, Waiting>();
	readonly #ofClient = new Map<string, { messages: number; bytes: number }>();
	#batch: OutgoingMessage[] = [];
	#flushing = false;
	#bytes = 0;
	#lastId = 0;
	#timer: NodeJS.Timeout | null = null;
	#closed = false;

	constructor(parts: PublishQueueParts) {
		this.#parts = parts;
		this.#nowMs = parts.nowMs ?? monotonicMs;
	}

	get waiting(): number {
		return this.#waiting.size;
	}

	/** `sender` is "" for a message that is not a client's. Then no share applies. */
	send(message: Omit<OutgoingMessage, "id" | "expiresAtMs">, done: (error: string | null) => void): boolean {
		const bytes = queuedBytes(message);
		// A single message is accepted however long it is.
		const isFull = this.#waiting.size >= waitingMax || (this.#bytes > 0 && this.#bytes + bytes > waitingBytesMax);
		if (this.#closed || isFull) return false;
		if (!this.#takeShare(message.sender, bytes)) return false;
		const id = ++this.#lastId;
		const expiresAtMs = this.#nowMs() + answerMsMax;
		this.#bytes += bytes;
		this.#waiting.set(id, { done, bytes, sender: message.sender, expiresAtMs });
		// A copy: the caller may reuse its bytes at once, and posting a view would clone its whole buffer, such as a ring.
		this.#batch.push({ ...message, id, expiresAtMs, payload: new Uint8Array(message.payload) });
		this.#flushSoon();
		this.#timer ??= setInterval(() => this.expire(), lookMs);
		return true;
	}

	settle(id: number, error: string | null): void {
		const waiting = this.#waiting.get(id);
		if (waiting === undefined) return;
		this.#waiting.delete(id);
		this.#bytes -= waiting.bytes;
		this.#giveShareBack(waiting);
		if (this.#waiting.size === 0 && this.#timer !== null) {
			clearInterval(this.#timer);
			this.#timer = null;
		}
		waiting.done(error);
	}

	/** Call when a worker is running again. */
	resume(): void {
		if (this.#batch.length > 0) this.#flushSoon();
	}

	/** Fails all waiting messages. */
	fail(error: string): void {
		this.#batch = [];
		const ids = [...this.#waiting.keys()];
		if (ids.length > 0) this.#parts.onUnanswered(ids.length);
		for (const id of ids) this.settle(id, error);
	}

	/** Accepts no more messages; waiting ones may still be answered. */
	close(): void {
		this.#closed = true;
	}

	/** Fails messages that have waited too long. Called periodically while any message waits. */
	expire(): void {
		const nowMs = this.#nowMs();
		const late: number[] = [];
		for (const [id, { expiresAtMs }] of this.#waiting) {
			if (expiresAtMs > nowMs) break;
			late.push(id);
		}
		if (late.length === 0) return;
		this.#batch = this.#batch.filter(({ expiresAtMs }) => expiresAtMs > nowMs);
		this.#parts.onUnanswered(late.length);
		for (const id of late) this.settle(id, `no answer within ${answerMsMax / 1000} s`);
	}

	#takeShare(sender: string, bytes: number): boolean {
		if (sender === "") return true;
		const of = this.#ofClient.get(sender) ?? { messages: 0, bytes: 0 };
		if (of.messages >= waitingMax * clientShare || (of.messages > 0 && of.bytes + bytes > waitingBytesMax * clientShare)) return false;
		of.messages++;
		of.bytes += bytes;
		this.#ofClient.set(sender, of);
		return true;
	}

	#giveShareBack({ sender, bytes }: Waiting): void {
		const of = this.#ofClient.get(sender);
		if (of === undefined) return;
		of.messages--;
		of.bytes -= bytes;
		if (of.messages === 0) this.#ofClient.delete(sender);
	}

	#flushSoon(): void {
		if (this.#flushing) return;
		this.#flushing = true;
		setImmediate(() => {
			this.#flushing = false;
			if (this.#batch.length > 0 && this.#parts.post(this.#batch)) this.#batch = [];
		});
	}
}

/** Channel names count twice: they go into the record's key and into its headers. */
function queuedBytes({ payload, channels, sender }: Omit<OutgoingMessage, "id" | "expiresAtMs">): number {
	let names = 0;
	for (const channel of channels) names += channel.length;
	return payload.length + 2 * names + sender.length + overheadBytes;
}
