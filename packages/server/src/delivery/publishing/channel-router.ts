import type { MessageDetails, MessageSink } from "@shardcast/bus";
import { type ChannelList, channelList, type Publishing, type PublishResult, publishAccepted, type RecordKind } from "@shardcast/wire";
import type { HistoryPublisher, PublishLimits } from "./history-publisher.ts";

interface ChannelRouterParts {
	/** Takes messages for channels without history, and those to everybody. */
	readonly plain: MessageSink;
	readonly history: Pick<HistoryPublisher, "publish">;
	/** Limits of a channel's history; null = none. Called for each channel of each message. */
	readonly limitsOf: (channel: string) => PublishLimits | null;
}

/**
 * Publishes each message to the log of its channel if that has a history, otherwise to the bus. A publication with history belongs to one channel, so
 * a message to several channels becomes one publication for each channel with history, plus one for all others: a raw client that listens to two of
 * them gets it twice.
 *
 * Costs a table look-up per channel of a message.
 */
export class ChannelRouter implements MessageSink {
	readonly #parts: ChannelRouterParts;

	constructor(parts: ChannelRouterParts) {
		this.#parts = parts;
	}

	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		return this.#publish(kind, sender, channels, payload, false, details);
	}

	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		return this.#publish(kind, sender, channels, payload, true, details);
	}

	#publish(
		kind: RecordKind,
		sender: number,
		channels: ChannelList,
		payload: Uint8Array,
		hold: boolean,
		details?: MessageDetails,
	): Publishing {
		const { history, limitsOf } = this.#parts;
		const { names } = channels;
		const skips = details?.skipHistory === true;
		if (names.length === 1) {
			const limits = skips ? null : limitsOf(names[0]!);
			if (limits !== null || details?.idempotencyKey !== undefined)
				return history.publish(kind, sender, channels, payload, limits, hold, details);
		} else if (details?.idempotencyKey !== undefined) return needsOneChannel;
		else if (!skips && names.some((name) => limitsOf(name) !== null)) return this.#divide(kind, sender, names, payload, hold, details);
		return this.#plain(kind, sender, channels, payload, hold, details);
	}

	/** Publishes to each channel with history, then to the rest. The parts may wait for a log, so that no part is refused after another was published. */
	#divide(
		kind: RecordKind,
		sender: number,
		names: readonly string[],
		payload: Uint8Array,
		hold: boolean,
		details?: MessageDetails,
	): Publishing {
		const { history, limitsOf } = this.#parts;
		const others = names.filter((name) => limitsOf(name) === null);
		const parts: Publishing[] = [];
		if (others.length > 0) {
			const first = this.#plain(kind, sender, channelList(others), payload, hold, details);
			if (!(first instanceof Promise) && first.outcome !== "accepted") return first;
			parts.push(first);
		}
		for (const name of names) {
			const limits = limitsOf(name);
			if (limits !== null) parts.push(history.publish(kind, sender, channelList([name]), payload, limits, true, details));
		}
		return Promise.all(parts).then(together);
	}

	#plain(
		kind: RecordKind,
		sender: number,
		channels: ChannelList,
		payload: Uint8Array,
		hold: boolean,
		details?: MessageDetails,
	): Publishing {
		const { plain } = this.#parts;
		return hold ? plain.publishOrHold(kind, sender, channels, payload, details) : plain.publish(kind, sender, channels, payload, details);
	}
}

const needsOneChannel: PublishResult = { outcome: "invalid", detail: "a message with an idempotency key goes to one channel" };

/** The first refusal, or else the position if there is only one. */
function together(results: readonly PublishResult[]): PublishResult {
	const refused = results.find(({ outcome }) => outcome !== "accepted");
	if (refused !== undefined) return refused;
	const [placed, ...others] = results.filter((result) => "position" in result);
	return placed !== undefined && others.length === 0 ? placed : publishAccepted;
}
