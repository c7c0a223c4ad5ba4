import {
	ChannelEntry,
	CloseCode,
	channelEntryIs,
	channelHash,
	closeReasons,
	nextChannelEntry,
	type RecordHead,
	RecordKind,
} from "@shardcast/wire";
import { type BusyChannel, ChannelActivity } from "./channel-activity.ts";
import type { ConsoleChannel, ConsoleSnapshot } from "./console-snapshot.ts";

/** A browser with the console, or a program that reads its feed. */
export interface ConsoleViewer {
	/** The watched channel; null = none, "" = messages to everybody. */
	watched: string | null;
	/** That channel's name in UTF-8, and its hash. */
	watchedBytes: Uint8Array;
	watchedHash: number;
	/** Search text for channel names; null = none. */
	search: string | null;
	/** Messages sent in the current second. */
	shown: number;
	send(text: string): void;
	getBufferedAmount(): number;
	end(code: number, reason: string): void;
}

interface ConsoleFeedParts {
	/** Collects a snapshot. May take a while. If it rejects, this second is left out. */
	snapshot(busy: readonly BusyChannel[]): Promise<ConsoleSnapshot>;
	/** Finds the channels whose names contain `search`. May reject, too. */
	find(search: string, busy: readonly BusyChannel[]): Promise<readonly ConsoleChannel[]>;
	nowMs(): number;
}

/** Most messages of the watched channel per second and viewer; people cannot read more. */
const shownPerSecondMax = 20;
/** Most characters shown of a message. */
const shownCharactersMax = 500;
/** A viewer with more buffered bytes gets nothing until it has read, since a late feed is useless. */
const bufferedBytesMax = 1_048_576;
/** Longest message of a viewer: a channel name, or a part of one, in JSON. */
const requestBytesMax = 2048;

export const nothingWatched = { watched: null, watchedBytes: new Uint8Array(0), watchedHash: 0, search: null, shown: 0 } as const;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * Feeds the consoles that are open on this shard: a snapshot of the cluster once a second, and the messages of each viewer's watched channel.
 * Without viewers it costs nothing: no timer runs, and `onRecord` is not called (see `watching`).
 *
 * Owned by the shard's loop. Bound: `viewersMax` viewers, which also count as connections.
 */
export class ConsoleFeed {
	readonly #parts: ConsoleFeedParts;
	readonly #viewers = new Set<ConsoleViewer>();
	#activity: ChannelActivity | null = null;
	#timer: NodeJS.Timeout | undefined;
	#busy = false;

	static readonly viewersMax = 16;

	constructor(parts: ConsoleFeedParts) {
		this.#parts = parts;
	}

	/** Whether to pass records to `onRecord`. */
	get watching(): boolean {
		return this.#activity !== null;
	}

	/** Whether there is no room for another viewer. */
	get isFull(): boolean {
		return this.#viewers.size >= ConsoleFeed.viewersMax;
	}

	/** False when there are too many viewers. */
	add(viewer: ConsoleViewer): boolean {
		if (this.isFull) return false;
		this.#viewers.add(viewer);
		if (this.#activity === null) {
			this.#activity = new ChannelActivity(this.#parts.nowMs());
			this.#timer = setInterval(() => void this.#tick(), 1000);
		}
		void this.#tick();
		return true;
	}

	remove(viewer: ConsoleViewer): void {
		this.#viewers.delete(viewer);
		if (this.#viewers.size > 0) return;
		clearInterval(this.#timer);
		this.#activity = null;
	}

	/** Handles a viewer's request: `{"tail": "channel" | null}` or `{"search": "text" | null}`. Ignores anything else, which the page never sends. */
	request(viewer: ConsoleViewer, message: ArrayBuffer): void {
		if (message.byteLength > requestBytesMax) return;
		const { tail, search } = requestIn(decoder.decode(message));
		if (tail !== undefined) this.watch(viewer, tail);
		if (search === undefined) return;
		viewer.search = search === "" ? null : search;
		void this.#tick();
	}

	/** Sets the viewer's watched channel; null = none, "" = messages to everybody. */
	watch(viewer: ConsoleViewer, channel: string | null): void {
		viewer.watched = channel;
		viewer.watchedBytes = encoder.encode(channel ?? "");
		viewer.watchedHash = channelHash(viewer.watchedBytes);
		viewer.shown = 0;
	}

	/** Call for each record that this shard reads, while `watching`. */
	onRecord(u8: Uint8Array, view: DataView, head: RecordHead): void {
		this.#activity?.count(u8, view, head);
		let text: string | undefined;
		for (const viewer of this.#viewers) {
			if (viewer.watched === null || viewer.shown >= shownPerSecondMax || !isFor(viewer, u8, view, head)) continue;
			viewer.shown++;
			text ??= shownText(u8, head);
			this.#send(viewer, {
				type: "tail",
				channel: viewer.watched,
				at: Date.now(),
				binary: head.kind === RecordKind.binary,
				bytes: head.payloadEnd - head.payloadStart,
				text,
			});
		}
	}

	/** Closes all viewers. Their pages reconnect by themselves. */
	close(): void {
		for (const viewer of [...this.#viewers]) viewer.end(CloseCode.goingAway, closeReasons[CloseCode.goingAway]);
	}

	async #tick(): Promise<void> {
		const activity = this.#activity;
		if (activity === null || this.#busy) return;
		for (const viewer of this.#viewers) viewer.shown = 0;
		this.#busy = true;
		try {
			const busy = activity.take(this.#parts.nowMs()).channels;
			const snapshot = JSON.stringify(await this.#parts.snapshot(busy));
			for (const viewer of this.#viewers) if (viewer.getBufferedAmount() < bufferedBytesMax) viewer.send(snapshot);
			for (const viewer of this.#viewers) await this.#answer(viewer, busy);
		} catch {
			// The supervisor did not answer in time, or is gone: the page shows by the time of its last snapshot that it is stale.
		} finally {
			this.#busy = false;
		}
	}

	async #answer(viewer: ConsoleViewer, busy: readonly BusyChannel[]): Promise<void> {
		const { search } = viewer;
		if (search === null) return;
		const channels = await this.#parts.find(search, busy);
		if (this.#viewers.has(viewer)) this.#send(viewer, { type: "channels", search, channels });
	}

	#send(viewer: ConsoleViewer, message: object): void {
		if (viewer.getBufferedAmount() < bufferedBytesMax) viewer.send(JSON.stringify(message));
	}
}

function isFor(viewer: ConsoleViewer, u8: Uint8Array, view: DataView, head: RecordHead): boolean {
	if (head.channelCount === 0) return viewer.watched === "";
	let at = head.channelsStart;
	for (let index = 0; index < head.channelCount; index++) {
		if (view.getUint32(at + ChannelEntry.hashOffset, true) === viewer.watchedHash && channelEntryIs(u8, at, viewer.watchedBytes))
			return true;
		at = nextChannelEntry(u8, at);
	}
	return false;
}

function shownText(u8: Uint8Array, head: RecordHead): string {
	if (head.kind === RecordKind.binary) return "";
	const text = decoder.decode(u8.slice(head.payloadStart, Math.min(head.payloadEnd, head.payloadStart + shownCharactersMax * 4)));
	return text.length > shownCharactersMax ? `${text.slice(0, shownCharactersMax)}…` : text;
}

/** Parses a request; undefined fields were not given. */
function requestIn(text: string): { readonly tail?: string | null | undefined; readonly search?: string | null | undefined } {
	const textOf = (value: unknown) => (value === null || typeof value === "string" ? value : undefined);
	try {
		const { tail, search } = JSON.parse(text) as { tail?: unknown; search?: unknown };
		return { tail: textOf(tail), search: textOf(search) };
	} catch {
		return {};
	}
}
