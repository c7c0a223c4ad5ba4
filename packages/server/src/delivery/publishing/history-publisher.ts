import type { ChannelLog, HistoryLimits } from "@shardcast/channel-log";
import type { Counters } from "@shardcast/scoreboard";
import { type ChannelList, type Publishing, type PublishRefused, type PublishResult, publishFull, type RecordKind } from "@shardcast/wire";
import type { HeldFrame, HeldFrames } from "../incoming/held-frames.ts";

/** A message that waits for the log of its channel. */
export interface HeldPublication extends HeldFrame {
	readonly limits: HistoryLimits;
	readonly done: (result: PublishResult) => void;
}

export interface HistoryPublisherParts {
	readonly log: Pick<ChannelLog, "publish">;
	readonly held: HeldFrames<HeldPublication>;
	readonly counters: Pick<Counters, "add">;
	/** This shard in its present life, see `shardLife`. */
	readonly life: number;
	/** Called when a message has to wait: it is to be tried again soon. */
	readonly onHeld: () => void;
}

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

	/** @param channels one. @param hold whether it may wait for room, too. */
	publish(
		kind: RecordKind,
		sender: number,
		channels: ChannelList,
		payload: Uint8Array,
		limits: HistoryLimits,
		hold: boolean,
		info?: Uint8Array,
	): Publishing {
		const { held } = this.#parts;
		if (held.count === 0) {
			const result = this.#write(kind, sender, channels, payload, limits, info);
			if (result !== null && (result.outcome !== "full" || !hold)) return result;
		}
		return new Promise((done) => {
			const frame = { kind, sender, channels, payload: new Uint8Array(payload), limits, info, done };
			if (held.hold(frame)) this.#parts.onHeld();
			else done(this.#refused(publishFull));
		});
	}

	/** Gives messages that wait another try. */
	retry(): void {
		if (this.#parts.held.count > 0) this.#parts.held.release(this.#writeHeld);
	}

	readonly #writeHeld = ({ kind, sender, channels, payload, limits, info, done }: HeldPublication): boolean => {
		const result = this.#write(kind, sender, channels, payload, limits, info);
		if (result === null || result.outcome === "full") return false;
		done(result);
		return true;
	};

	/** Null = the log is locked at this instant. */
	#write(
		kind: RecordKind,
		id: number,
		{ names }: ChannelList,
		payload: Uint8Array,
		history: HistoryLimits,
		info: Uint8Array | undefined,
	): PublishResult | null {
		const { log, counters, life } = this.#parts;
		const published = log.publish(names[0]!, payload, {
			history,
			kind,
			...(info && { info }),
			...(id === 0 ? {} : { sender: { id, life } }),
		});
		if (published.outcome === "full") return published.reason === "locked" ? null : this.#refused(published);
		counters.add("messagesIn", 1);
		counters.add("bytesIn", payload.length);
		return published;
	}

	#refused(full: PublishRefused): PublishResult {
		this.#parts.counters.add("backpressured", 1);
		return full;
	}
}
