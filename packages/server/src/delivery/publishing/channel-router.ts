import type { MessageSink } from "@shardcast/bus";
import type { HistoryLimits } from "@shardcast/channel-log";
import { type ChannelList, channelList, type Publishing, type PublishResult, publishTaken, type RecordKind } from "@shardcast/wire";
import type { HistoryPublisher } from "./history-publisher.ts";

export interface ChannelRouterParts {
	/** For channels without a history, and for messages to everybody. */
	readonly plain: MessageSink;
	readonly history: Pick<HistoryPublisher, "publish">;
	/** What a channel keeps; null = nothing. Asked for each channel of each message. */
	readonly limitsOf: (channel: string) => HistoryLimits | null;
}

/**
 * Sends each message on the way of its channels: into their log when they keep a history, else onto the bus. A publication with history belongs
 * to one channel, so a message to several becomes one for each of those that keep one, and one for all others: a raw client that listens to
 * two of them gets it twice.
 *
 * Costs a look at a table for each channel of a message.
 */
export class ChannelRouter implements MessageSink {
	readonly #parts: ChannelRouterParts;

	constructor(parts: ChannelRouterParts) {
		this.#parts = parts;
	}

	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array): Publishing {
		return this.#publish(kind, sender, channels, payload, false);
	}

	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, info?: Uint8Array): Publishing {
		return this.#publish(kind, sender, channels, payload, true, info);
	}

	#publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, hold: boolean, info?: Uint8Array): Publishing {
		const { history, limitsOf } = this.#parts;
		const { names } = channels;
		if (names.length === 1) {
			const limits = limitsOf(names[0]!);
			if (limits !== null) return history.publish(kind, sender, channels, payload, limits, hold, info);
		} else if (names.some((name) => limitsOf(name) !== null)) return this.#divide(kind, sender, names, payload, hold, info);
		return this.#plain(kind, sender, channels, payload, hold, info);
	}

	/** What has a history may wait for it: a part of a message is not refused once another part is on its way. */
	#divide(kind: RecordKind, sender: number, names: readonly string[], payload: Uint8Array, hold: boolean, info?: Uint8Array): Publishing {
		const { history, limitsOf } = this.#parts;
		const others = names.filter((name) => limitsOf(name) === null);
		const parts: Publishing[] = [];
		if (others.length > 0) {
			const first = this.#plain(kind, sender, channelList(others), payload, hold, info);
			if (!(first instanceof Promise) && first.outcome !== "taken") return first;
			parts.push(first);
		}
		for (const name of names) {
			const limits = limitsOf(name);
			if (limits !== null) parts.push(history.publish(kind, sender, channelList([name]), payload, limits, true, info));
		}
		return Promise.all(parts).then(together);
	}

	#plain(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, hold: boolean, info?: Uint8Array): Publishing {
		const { plain } = this.#parts;
		return hold ? plain.publishOrHold(kind, sender, channels, payload, info) : plain.publish(kind, sender, channels, payload);
	}
}

/** The first refusal; or else the position, if there is only one. */
function together(results: readonly PublishResult[]): PublishResult {
	const refused = results.find(({ outcome }) => outcome !== "taken");
	if (refused !== undefined) return refused;
	const [placed, ...others] = results.filter((result) => "position" in result);
	return placed !== undefined && others.length === 0 ? placed : publishTaken;
}
