import type { MessageDetails, MessageSink } from "@shardcast/bus";
import type { ChannelLog, HistoryLimits, Idempotency } from "@shardcast/channel-log";
import type { Counters } from "@shardcast/scoreboard";
import {
	type ChannelList,
	monotonicMs,
	type Publishing,
	type PublishRefused,
	type PublishResult,
	publishFull,
	publishTaken,
	type RecordKind,
} from "@shardcast/wire";
import type { HeldFrame, HeldFrames } from "../incoming/held-frames.ts";

/** A message that waits for the log of its channel. */
export interface HeldPublication extends HeldFrame {
	/** Null = its channel keeps none. */
	readonly limits: PublishLimits | null;
	/** Whether it may wait for readers, and not only for the lock. */
	readonly forRoom: boolean;
	/** Then it is refused. */
	readonly untilMs: number;
	readonly done: (result: PublishResult) => void;
}

/** `delta`: as if each publication asked for it. */
export type PublishLimits = HistoryLimits & { readonly delta?: boolean };

export interface HistoryPublisherParts {
	readonly log: Pick<ChannelLog, "publish" | "once">;
	/** For channels without a history. */
	readonly plain: Pick<MessageSink, "publish">;
	readonly held: HeldFrames<HeldPublication>;
	readonly counters: Pick<Counters, "add">;
	/** This shard in its present life, see `shardLife`. */
	readonly life: number;
	/** Called when a message has to wait: it is to be tried again soon. */
	readonly onHeld: () => void;
	/** CLOCK_MONOTONIC; tests have their own. */
	readonly nowMs?: () => number;
}

/** Clients give a publish up after 5 s. */
const waitMsMax = 4000;
const locked: PublishRefused = Object.freeze({ outcome: "full", reason: "locked" });
const idempotencyTtlMs = 300_000;
const duplicate: PublishResult = { outcome: "taken", duplicate: true };

/**
 * Publishes into the logs of channels that keep a history. A publication that is answered `taken` has its position, and survives the death of
 * any process.
 *
 * One owner, the shard's loop. While another process holds the log, for a microsecond mostly, messages wait here, first in, first out; while
 * readers are behind, clients' messages wait as well, and others are refused. A message that has waited for four seconds is refused. When the
 * machine's memory or the table of idempotency keys is full, nothing waits: that takes minutes. Each refusal is counted.
 */
export class HistoryPublisher {
	readonly #parts: HistoryPublisherParts;

	constructor(parts: HistoryPublisherParts) {
		this.#parts = parts;
	}

	/**
	 * @param channels one. @param limits null = the channel keeps no history, and the message has an idempotency key, which the logs know.
	 * @param hold whether it may wait for room, too.
	 */
	publish(
		kind: RecordKind,
		sender: number,
		channels: ChannelList,
		payload: Uint8Array,
		limits: PublishLimits | null,
		hold: boolean,
		details?: MessageDetails,
	): Publishing {
		const { held, counters, onHeld } = this.#parts;
		let result: PublishResult = locked;
		if (held.count === 0) {
			result = this.#write(kind, sender, channels, payload, limits, details);
			if (result.outcome !== "full") return result;
			if (result.reason !== undefined && result !== locked) counters.add("backpressured", 1);
			if (!mayWait(result, hold)) return result;
		}
		const full = result;
		return new Promise((done) => {
			const untilMs = this.#nowMs() + waitMsMax;
			const frame = { kind, sender, channels, payload: new Uint8Array(payload), limits, details, forRoom: hold, untilMs, done };
			if (held.hold(frame)) return onHeld();
			if (full === locked) counters.add("backpressured", 1);
			done(full);
		});
	}

	/** Gives messages that wait another try. */
	retry(): void {
		if (this.#parts.held.count > 0) this.#parts.held.release(this.#writeHeld);
	}

	readonly #writeHeld = ({ kind, sender, channels, payload, limits, details, forRoom, untilMs, done }: HeldPublication): boolean => {
		const result = this.#write(kind, sender, channels, payload, limits, details);
		if (mayWait(result, forRoom) && this.#nowMs() < untilMs) return false;
		// One that waited for readers was counted when it came.
		if (result === locked) this.#parts.counters.add("backpressured", 1);
		done(result);
		return true;
	};

	/** Refusals by the log are not counted yet. */
	#write(
		kind: RecordKind,
		id: number,
		channels: ChannelList,
		payload: Uint8Array,
		history: PublishLimits | null,
		details: MessageDetails = {},
	): PublishResult {
		const { log, counters, life } = this.#parts;
		const [name] = channels.names as [string];
		const { info, tags, idempotencyKey: key, delta = false } = details;
		const idempotency = key === undefined ? undefined : { key, ttlMs: idempotencyTtlMs };
		if (history === null) return this.#writeOnce(kind, id, channels, payload, details, idempotency!);
		const published = log.publish(name, payload, {
			history,
			kind,
			...(info && { info }),
			...(tags && { tags }),
			...(idempotency && { idempotency }),
			...((delta || history.delta) && { delta: true }),
			...(id === 0 ? {} : { sender: { id, life } }),
		});
		if (published.outcome === "full") return published.reason === "locked" ? locked : published;
		if (published.outcome === "too_large") return published;
		if (published.duplicate) return published.position.offset === 0 ? duplicate : published;
		counters.add("messagesIn", 1);
		counters.add("bytesIn", payload.length);
		return published;
	}

	/** Onto the bus, unless the key was used before. */
	#writeOnce(
		kind: RecordKind,
		id: number,
		channels: ChannelList,
		payload: Uint8Array,
		details: MessageDetails,
		idempotency: Idempotency,
	): PublishResult {
		const { log, plain } = this.#parts;
		const outcome = log.once(channels.names[0]!, idempotency, () => plain.publish(kind, id, channels, payload, details) === publishTaken);
		switch (outcome) {
			case "published":
				return publishTaken;
			case "duplicate":
				return duplicate;
			case "locked":
				return locked;
			case "refused":
				// The bus has counted it.
				return publishFull;
			default:
				return { outcome: "full", reason: outcome };
		}
	}

	#nowMs(): number {
		return this.#parts.nowMs?.() ?? monotonicMs();
	}
}

/** For the lock everybody waits, for readers, and for the bus, who may: what is lacking otherwise does not come back soon. */
function mayWait(result: PublishResult, forRoom: boolean): boolean {
	if (result.outcome !== "full") return false;
	return result.reason === "locked" || (forRoom && (result.reason === "readers" || result.reason === undefined));
}
