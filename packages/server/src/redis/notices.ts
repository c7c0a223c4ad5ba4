import type { Position } from "@shardcast/channel-log";
import { RecordType } from "@shardcast/wire";
import type { ChannelRecords } from "./channel-records.ts";

/** Clients of this shard that want channels without naming them: subscribers of patterns, and raw clients without channels. */
export interface NoticeListeners {
	/** Whether one of them wants this channel. */
	readonly want: (channel: string) => boolean;
	/** Another number when others have come. */
	readonly version: () => number;
}

interface NoticesParts {
	readonly records: Pick<ChannelRecords, "send">;
	readonly listeners: NoticeListeners;
	/** The clients want this channel, and all that was published to it behind a position. */
	readonly want: (channel: string, since: Position) => void;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** A channel that is published to all the time is noticed so often. It is wanted for 30 s after each time. */
const noticeEveryMs = 10_000;
/** Many such clients may come at once. */
const askEveryMs = 200;
/** Channels of which it is known that they were noticed. */
const noticedMax = 10_000;

/**
 * Nodes subscribe to the channels that their clients name. For those clients that name none, each shard tells all shards of all nodes which channels it
 * publishes to, now and then; whoever has such clients wants the channel from there on. **One per shard.**
 */
export class Notices {
	readonly #parts: NoticesParts;
	/** When each channel was noticed last; the oldest first. */
	readonly #noticed = new Map<string, number>();
	#version = 0;
	#askedMs = Number.NEGATIVE_INFINITY;

	constructor(parts: NoticesParts) {
		this.#parts = parts;
	}

	/** This shard has published to the channel, which is at this position now. */
	published(channel: string, position: Position): void {
		const nowMs = this.#parts.nowMs();
		const before = this.#noticed.get(channel);
		if (before !== undefined && nowMs - before < noticeEveryMs) return;
		if (!this.#parts.records.send(RecordType.noticed, null, [[channel, position]])) return;
		this.#noticed.delete(channel);
		this.#noticed.set(channel, nowMs);
		for (const oldest of this.#noticed.keys()) {
			if (this.#noticed.size <= noticedMax) break;
			this.#noticed.delete(oldest);
		}
	}

	/** A shard has said what it publishes to, or asks the others. */
	told(channels: readonly (readonly [channel: string, position: Position])[]): void {
		if (channels.length === 0) this.#noticed.clear();
		for (const [channel, { offset, epoch }] of channels)
			if (this.#parts.listeners.want(channel)) this.#parts.want(channel, { offset: offset - 1, epoch });
	}

	/** Several times a second: when such clients have come, publishers say again what they publish to. */
	tick(): void {
		const { listeners, nowMs, records } = this.#parts;
		const version = listeners.version();
		if (version === this.#version || nowMs() - this.#askedMs < askEveryMs) return;
		if (!records.send(RecordType.noticed, null, [])) return;
		this.#version = version;
		this.#askedMs = nowMs();
	}
}
