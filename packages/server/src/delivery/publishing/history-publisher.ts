import type { MessageDetails, MessageSink } from "@shardcast/bus";
import type { ChannelLog, HistoryLimits, Idempotency } from "@shardcast/channel-log";
import type { Counters } from "@shardcast/scoreboard";
import {
	type ChannelList,
	monotonicMs,
	type Publishing,
	type PublishRefused,
	type PublishResult,
	publishAccepted,
	publishFull,
	type RecordKind,
} from "@shardcast/wire";
import type { HeldFrame, HeldFrames } from "../incoming/held-frames.ts";

/** A message that waits for the log of its channel. */
export interface HeldPublication extends HeldFrame {
	/** Null without history. */
	readonly limits: PublishLimits | null;
	/** Whether it may wait for readers, and not only for the lock. */
	readonly forRoom: boolean;
	/** When it is refused. */
	readonly untilMs: number;
	readonly done: (result: PublishResult) => void;
}

/** `delta`: as if it were set for each publication. */
export type PublishLimits = HistoryLimits & { readonly delta?: boolean };

interface HistoryPublisherParts {
	readonly log: Pick<ChannelLog, "publish" | "once">;
	/** Publishes to channels without history. */
	readonly plain: Pick<MessageSink, "publish">;
	readonly held: HeldFrames<HeldPublication>;
	readonly counters: Pick<Counters, "add">;
	/** This shard's incarnation, see `incarnationId`. */
	readonly life: number;
	/** Called when a message has to wait. The caller must call `retry` soon. */
	readonly onHeld: () => void;
	/** Returns CLOCK_MONOTONIC. Tests pass another clock. */
	readonly nowMs?: () => number;
}

/** Shorter than 5 s, after which clients give up a publish. */
const waitMsMax = 4000;
const locked: PublishRefused = Object.freeze({ outcome: "full", reason: "locked" });
const idempotencyTtlMs = 300_000;
const duplicate: PublishResult = { outcome: "accepted", duplicate: true };

/**
 * Publishes to the logs of channels with history. A publication that is answered `accepted` has a position, and survives the death of any process.
 *
 * Owned by the shard's loop. While another process holds the log's lock, usually for a microsecond, messages wait here, first in, first out. While
 * readers are behind, clients' messages wait too, and others are refused. A message is refused after waiting four seconds. If the machine's memory or
 * the table of idempotency keys is full, messages are refused at once, since that lasts for minutes. Each refusal is counted.
 */
export class HistoryPublisher {
	readonly #parts: HistoryPublisherParts;

	constructor(parts: HistoryPublisherParts) {
		this.#parts = parts;
	}

	/**
	 * @param channels exactly one. @param limits null = the channel has no history, but the message has an idempotency key, which the logs check.
	 * @param hold whether it may also wait for room.
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

	/** Retries waiting messages. */
	retry(): void {
		if (this.#parts.held.count > 0) this.#parts.held.release(this.#writeHeld);
	}

	readonly #writeHeld = ({ kind, sender, channels, payload, limits, details, forRoom, untilMs, done }: HeldPublication): boolean => {
		const result = this.#write(kind, sender, channels, payload, limits, details);
		if (mayWait(result, forRoom) && this.#nowMs() < untilMs) return false;
		// A message that waited for readers was counted on arrival.
		if (result === locked) this.#parts.counters.add("backpressured", 1);
		done(result);
		return true;
	};

	/** Writes a message. Does not count refusals by the log. */
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
		const { info, tags, trace, idempotencyKey: key, delta = false } = details;
		const idempotency = key === undefined ? undefined : { key, ttlMs: idempotencyTtlMs };
		if (history === null) return this.#writeOnce(kind, id, channels, payload, details, idempotency!);
		const published = log.publish(name, payload, {
			history,
			kind,
			...(info && { info }),
			...(tags && { tags }),
			...(trace && { trace }),
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

	/** Publishes to the bus, unless the key was used before. */
	#writeOnce(
		kind: RecordKind,
		id: number,
		channels: ChannelList,
		payload: Uint8Array,
		details: MessageDetails,
		idempotency: Idempotency,
	): PublishResult {
		const { log, plain } = this.#parts;
		const outcome = log.once(
			channels.names[0]!,
			idempotency,
			() => plain.publish(kind, id, channels, payload, details) === publishAccepted,
		);
		switch (outcome) {
			case "published":
				return publishAccepted;
			case "duplicate":
				return duplicate;
			case "locked":
				return locked;
			case "refused":
				// Counted by the bus.
				return publishFull;
			default:
				return { outcome: "full", reason: outcome };
		}
	}

	#nowMs(): number {
		return this.#parts.nowMs?.() ?? monotonicMs();
	}
}

/** All messages wait for the lock, and those with `forRoom` also for readers and the bus. Other shortages last longer. */
function mayWait(result: PublishResult, forRoom: boolean): boolean {
	if (result.outcome !== "full") return false;
	return result.reason === "locked" || (forRoom && (result.reason === "readers" || result.reason === undefined));
}
