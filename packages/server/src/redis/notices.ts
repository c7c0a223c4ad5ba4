import type { Position } from "@shardcast/channel-log";
import { RecordType } from "@shardcast/wire";
import type { ChannelRecords } from "./channel-records.ts";

/** Clients of this shard that want channels without naming them: subscribers of patterns, and raw clients without channels. */
export interface NoticeListeners {
	/** Whether one of them wants this channel. */
	readonly want: (channel: string) => boolean;
	/** Changes whenever such clients are added. */
	readonly version: () => number;
}

interface NoticesParts {
	readonly records: Pick<ChannelRecords, "send">;
	readonly listeners: NoticeListeners;
	/** Called when the clients want this channel, and everything that was published to it after a position. */
	readonly want: (channel: string, since: Position) => void;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** How often a busy channel is announced. Each time, it is wanted for 30 s. */
const noticeEveryMs = 10_000;
/** Minimum interval between two requests for announcements, since many such clients may connect at once. */
const askEveryMs = 200;
/** Most channels whose last announcement is remembered. */
const noticedMax = 10_000;

/**
 * Nodes subscribe to the channels that their clients name. For clients that name none, each shard regularly announces the channels that it publishes
 * to, to all shards of all nodes. A shard with such clients wants an announced channel from then on. **One per shard.**
 */
export class Notices {
	readonly #parts: NoticesParts;
	/** When each channel was last announced, oldest first. */
	readonly #noticed = new Map<string, number>();
	#version = 0;
	#askedMs = Number.NEGATIVE_INFINITY;

	constructor(parts: NoticesParts) {
		this.#parts = parts;
	}

	/** Call when this shard has published to the channel, which is now at this position. */
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

	/** Call when a shard has announced channels. An empty list asks this shard to announce its channels again. */
	received(channels: readonly (readonly [channel: string, position: Position])[]): void {
		if (channels.length === 0) this.#noticed.clear();
		for (const [channel, { offset, epoch }] of channels)
			if (this.#parts.listeners.want(channel)) this.#parts.want(channel, { offset: offset - 1, epoch });
	}

	/** Call several times a second. After such clients were added, it asks publishers to announce their channels again. */
	tick(): void {
		const { listeners, nowMs, records } = this.#parts;
		const version = listeners.version();
		if (version === this.#version || nowMs() - this.#askedMs < askEveryMs) return;
		if (!records.send(RecordType.noticed, null, [])) return;
		this.#version = version;
		this.#askedMs = nowMs();
	}
}
