import type { MessageDetails, MessageSink } from "@shardcast/bus";
import type { ChannelLog, HistoryLimits, Idempotency } from "@shardcast/channel-log";
import type { Counters } from "@shardcast/scoreboard";
import {
	type ChannelList,
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
	readonly limits: HistoryLimits | null;
	readonly done: (result: PublishResult) => void;
}

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
}

const idempotencyTtlMs = 300_000;
const duplicate: PublishResult = { outcome: "taken", duplicate: true };

/**
 * Publishes into the logs of channels that keep a history. A publication that is answered `taken` has its position, and survives the death of
 * any process.
 *
 * One owner, the shard's loop. While another process holds the log, for a microsecond mostly, messages wait here, first in, first out; when
 * readers are behind or memory is full, clients' messages wait as well, and others are refused.
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
		limits: HistoryLimits | null,
		hold: boolean,
		details?: MessageDetails,
	): Publishing {
		const { held } = this.#parts;
		if (held.count === 0) {
			const result = this.#write(kind, sender, channels, payload, limits, details);
			if (result !== null && (result.outcome !== "full" || !hold)) return result;
		}
		return new Promise((done) => {
			const frame = { kind, sender, channels, payload: new Uint8Array(payload), limits, details, done };
			if (held.hold(frame)) this.#parts.onHeld();
			else done(this.#refused(publishFull));
		});
	}

	/** Gives messages that wait another try. */
	retry(): void {
		if (this.#parts.held.count > 0) this.#parts.held.release(this.#writeHeld);
	}

	readonly #writeHeld = ({ kind, sender, channels, payload, limits, details, done }: HeldPublication): boolean => {
		const result = this.#write(kind, sender, channels, payload, limits, details);
		if (result === null || result.outcome === "full") return false;
		done(result);
		return true;
	};

	/** Null = the log is locked at this instant. */
	#write(
		kind: RecordKind,
		id: number,
		channels: ChannelList,
		payload: Uint8Array,
		history: HistoryLimits | null,
		details: MessageDetails = {},
	): PublishResult | null {
		const { log, counters, life } = this.#parts;
		const [name] = channels.names as [string];
		const { info, tags, idempotencyKey: key } = details;
		const idempotency = key === undefined ? undefined : { key, ttlMs: idempotencyTtlMs };
		if (history === null) return this.#writeOnce(kind, id, channels, payload, details, idempotency!);
		const published = log.publish(name, payload, {
			history,
			kind,
			...(info && { info }),
			...(tags && { tags }),
			...(idempotency && { idempotency }),
			...(id === 0 ? {} : { sender: { id, life } }),
		});
		if (published.outcome === "full") return published.reason === "locked" ? null : this.#refused(published);
		if (published.duplicate) return published.position.offset === 0 ? duplicate : published;
		counters.add("messagesIn", 1);
		counters.add("bytesIn", payload.length);
		return published;
	}

	/** Onto the bus, unless the key was used before. Null as for `#write`. */
	#writeOnce(
		kind: RecordKind,
		id: number,
		channels: ChannelList,
		payload: Uint8Array,
		details: MessageDetails,
		idempotency: Idempotency,
	): PublishResult | null {
		const { log, plain } = this.#parts;
		const outcome = log.once(channels.names[0]!, idempotency, () => plain.publish(kind, id, channels, payload, details) === publishTaken);
		switch (outcome) {
			case "published":
				return publishTaken;
			case "duplicate":
				return duplicate;
			case "locked":
				return null;
			case "refused":
				// The bus has counted it.
				return publishFull;
			default:
				return this.#refused({ outcome: "full", reason: outcome });
		}
	}

	#refused(full: PublishRefused): PublishResult {
		this.#parts.counters.add("backpressured", 1);
		return full;
	}
}
