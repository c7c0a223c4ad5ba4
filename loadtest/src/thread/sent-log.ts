/** What was sent until when, to tell which messages a client that came later must have got. Plain data: it goes to all threads. */
export interface SentLog {
	readonly startMs: number;
	/** Messages sent until the end of each step. */
	readonly counts: Uint32Array;
	/** Over all senders. */
	readonly sent: number;
	readonly senders: number;
}

const stepMs = 100;
/** A day and more; later messages count as sent in the last step. */
const stepsMax = 1_000_000;

/** Written by the pacer. Its messages go round the senders, so that the count of all tells that of each. */
export class SentLogWriter {
	readonly #startMs: number;
	readonly #counts: number[] = [];

	constructor(startMs: number) {
		this.#startMs = startMs;
	}

	/**
	 * @param nowMs before the newest of them was sent: then nobody is held to messages that were sent before it came.
	 * @param sent messages so far, all together.
	 */
	note(nowMs: number, sent: number): void {
		const step = Math.min(stepsMax - 1, Math.max(0, Math.floor((nowMs - this.#startMs) / stepMs)));
		const before = this.#counts.at(-1) ?? 0;
		while (this.#counts.length <= step) this.#counts.push(before);
		this.#counts[step] = sent;
	}

	log(senders: number): SentLog {
		return { startMs: this.#startMs, counts: Uint32Array.from(this.#counts), sent: this.#counts.at(-1) ?? 0, senders };
	}
}

/** Messages of a sender that had certainly been sent when the step of that time ended: what comes after it was sent later. */
export function sentUntil({ startMs, counts, sent, senders }: SentLog, sender: number, ms: number): number {
	const step = Math.floor((ms - startMs) / stepMs);
	const all = step < 0 ? 0 : step < counts.length ? counts[step] : sent;
	return shareOfSender(all, sender, senders);
}

/** Messages of a sender that were sent before the step of that time began. */
export function sentBefore(log: SentLog, sender: number, ms: number): number {
	return sentUntil(log, sender, ms - stepMs);
}

function shareOfSender(all: number, sender: number, senders: number): number {
	return Math.floor(all / senders) + (sender < all % senders ? 1 : 0);
}
