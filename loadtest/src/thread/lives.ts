import type { DeliveryChecker } from "@shardcast/testkit";
import type { Audience } from "../audience.ts";
import { type SentLog, sentBefore, sentUntil } from "./sent-log.ts";

/**
 * When each client of a fleet came and left, in a test that opens and closes them while messages are sent, and so what each must have got:
 *
 * - what was sent after it was open (within a tenth of a second before, it may get messages or not), and from its first message on
 *   everything;
 * - until it was closed by the load test, except what was sent shortly before (`leavingMs`) and may still have been under way.
 *
 * A client has one life: who is opened again has another number.
 */
export class Lives {
	readonly #audience: Audience;
	readonly #firstClient: number;
	readonly #leavingMs: number;
	readonly #joinedMs: Float64Array;
	readonly #leftMs: Float64Array;
	/** Per client and slot: one more than the number of the first message that it got; 0 = none so far. */
	readonly #first: Uint32Array;

	constructor(clients: number, firstClient: number, audience: Audience, leavingMs: number) {
		this.#audience = audience;
		this.#firstClient = firstClient;
		this.#leavingMs = leavingMs;
		this.#joinedMs = new Float64Array(clients).fill(Number.NaN);
		this.#leftMs = new Float64Array(clients).fill(Number.NaN);
		this.#first = new Uint32Array(clients * audience.slots);
	}

	joined(id: number, nowMs: number): void {
		this.#joinedMs[id] = nowMs;
	}

	/** The load test closes it. */
	left(id: number, nowMs: number): void {
		this.#leftMs[id] = nowMs;
	}

	hasLeft(id: number): boolean {
		return !Number.isNaN(this.#leftMs[id]);
	}

	/** A message comes: the first one tells the checker where to begin. To be called before the checker's `saw`. */
	saw(id: number, slot: number, sequence: number, checker: DeliveryChecker): void {
		const at = id * this.#audience.slots + slot;
		if (this.#first[at] !== 0) return;
		this.#first[at] = sequence + 1;
		checker.joins(id, slot, sequence);
	}

	/** The numbers that a client must have got, all from `from` to `to - 1`, and for the checker how many are legal. */
	due(
		id: number,
		slot: number,
		sent: ArrayLike<number>,
		log: SentLog,
		checker: DeliveryChecker,
	): { from: number; to: number; legal: number } {
		const { channels, slots } = this.#audience;
		const client = this.#firstClient + id;
		const legal = this.#audience.expected(client, slot, sent);
		if (Number.isNaN(this.#joinedMs[id]) || legal === 0) return { from: 0, to: 0, legal: 0 };
		const sender = channels === 0 ? slot : slot * channels + this.#audience.channelOfClient(client);
		const first = this.#first[id * slots + slot];
		const from = Math.min(sentUntil(log, sender, this.#joinedMs[id]), first === 0 ? Number.POSITIVE_INFINITY : first - 1);
		if (!this.hasLeft(id)) return { from: Math.min(from, legal), to: legal, legal };
		const certain = Math.min(legal, sentBefore(log, sender, this.#leftMs[id] - this.#leavingMs));
		const to = Math.max(certain, Math.min(legal, checker.nextOf(id, slot)));
		return { from: Math.min(from, to), to, legal };
	}

	/** Where the checker began to count a client's messages of a slot; null = it got none. */
	firstOf(id: number, slot: number): number | null {
		const first = this.#first[id * this.#audience.slots + slot];
		return first === 0 ? null : first - 1;
	}
}
