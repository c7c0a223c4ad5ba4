import type { BusLink, MessageDetails, MessageSink } from "@shardcast/bus";
import type { Counters } from "@shardcast/scoreboard";
import {
	type ChannelList,
	channelList,
	encodeExtensions,
	everybody,
	isUrgent,
	monotonicMs,
	noExtensions,
	type PublishRefused,
	type PublishResult,
	publishAccepted,
	publishFull,
	RecordKind,
	RecordType,
	recordBytes,
	writeRecord,
	writeRecordHead,
} from "@shardcast/wire";
import type { HeldFrame, HeldFrames } from "../incoming/held-frames.ts";

/** Records that announce that a subscriber has joined or left. */
export type AnnouncementType = typeof RecordType.join | typeof RecordType.leave;

/** The part of the bus that the publisher uses. */
type RingEnd = Pick<BusLink, "claim" | "commit" | "u8" | "view">;

interface PublisherParts {
	readonly ring: RingEnd;
	readonly held: HeldFrames;
	readonly counters: Counters;
	/** Called after each record written to the ring, to wake its readers. */
	readonly onCommit: () => void;
	/** Called when a message finds no room: this shard reads the ring too, and should do so at once. */
	readonly hurry: () => void;
	/** Called after a record with high priority was written: all shards should read it before others, and this one at once. */
	readonly onUrgent: () => void;
	/** Gets a copy of what every shard gets, for other machines; absent = there are none. @param record lies in the ring. */
	readonly relay?: ((record: Uint8Array, isUrgent: boolean) => void) | null | undefined;
}

/** A message to connections, outside of channels. */
export interface DirectMessage {
	/** To the connections of this user, at most 255 bytes; null = to all connections. */
	readonly user: string | null;
	/** JSON. */
	readonly payload: Uint8Array;
	/** High priority. */
	readonly urgent: boolean;
	/** Other nodes get the message by another way. */
	readonly nodeOnly: boolean;
}

/**
 * Writes messages from clients and HTTP to this shard's ring, which every shard, including this one, reads. One copy per message, no allocation.
 *
 * Owned by the shard's loop. When the ring is full, an HTTP publish is refused (429, the caller tries again), and a client's message is held.
 */
export class Publisher implements MessageSink {
	readonly #ring: RingEnd;
	readonly #held: HeldFrames;
	readonly #counters: Counters;
	readonly #onCommit: () => void;
	readonly #hurry: () => void;
	readonly #onUrgent: () => void;
	readonly #relay: PublisherParts["relay"];

	constructor(parts: PublisherParts) {
		this.#ring = parts.ring;
		this.#held = parts.held;
		this.#counters = parts.counters;
		this.#onCommit = parts.onCommit;
		this.#hurry = parts.hurry;
		this.#onUrgent = parts.onUrgent;
		this.#relay = parts.relay;
	}

	/** `full` when the ring is full, or when held messages must go first. */
	publish(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): PublishResult {
		// One with high priority goes ahead of those that are held.
		if ((this.#held.count > 0 && details?.urgent !== true) || !this.#write(kind, sender, channels, payload, details))
			return this.#backpressured();
		return this.#taken(payload);
	}

	/** Sends a message to connections on all shards; `full` like `publish`. */
	direct({ user, payload, urgent, nodeOnly }: DirectMessage): PublishResult {
		const type = urgent ? RecordType.urgentDirect : RecordType.direct;
		const to = user === null ? everybody : channelList([user]);
		if ((this.#held.count > 0 && !urgent) || !this.#writeRecord(type, noExtensions, RecordKind.text, 0, to, payload, nodeOnly))
			return this.#backpressured();
		return this.#taken(payload);
	}

	/** Like `publish`, but holds the message when there is no room; `full` when it cannot be held either. */
	publishOrHold(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): PublishResult {
		if (this.publish(kind, sender, channels, payload, details) === publishAccepted) return publishAccepted;
		if (!this.#held.hold({ kind, sender, channels, payload: new Uint8Array(payload), details })) return publishFull;
		return this.#taken(payload);
	}

	/**
	 * Announces to the subscribers of a channel that one of them has joined or left, after all messages so far. False = there is no room to send or hold
	 * it, so nothing is announced.
	 * @param info the encoded client.
	 */
	announce(type: AnnouncementType, channels: ChannelList, info: Uint8Array): boolean {
		if (this.#held.count === 0 && this.#writeRecord(type, noExtensions, RecordKind.binary, 0, channels, info)) return true;
		this.#backpressured();
		return this.#held.hold({ type, kind: RecordKind.binary, sender: 0, channels, payload: info });
	}

	/** Retries held messages. */
	retry(): void {
		if (this.#held.count > 0) this.#held.release(this.#writeHeld);
	}

	readonly #writeHeld = ({ type, kind, sender, channels, payload, details }: HeldFrame): boolean =>
		type === undefined
			? this.#write(kind, sender, channels, payload, details)
			: this.#writeRecord(type, noExtensions, kind, sender, channels, payload);

	#write(kind: RecordKind, sender: number, channels: ChannelList, payload: Uint8Array, details: MessageDetails | undefined): boolean {
		if (details !== undefined) {
			const type = details.urgent ? RecordType.urgent : RecordType.publication;
			return this.#writeRecord(type, encodeExtensions(details), kind, sender, channels, payload, details.nodeOnly);
		}
		const ring = this.#ring;
		const bytes = recordBytes(channels, payload.length);
		const at = ring.claim(bytes);
		if (at < 0) return false;
		const { u8 } = ring;
		u8.set(payload, writeRecordHead(ring.view, u8, at, kind, sender, monotonicMs(), channels));
		this.#relay?.(u8.subarray(at, at + bytes), false);
		ring.commit();
		this.#onCommit();
		return true;
	}

	#writeRecord(
		type: RecordType,
		extensions: Uint8Array,
		kind: RecordKind,
		sender: number,
		channels: ChannelList,
		payload: Uint8Array,
		nodeOnly = false,
	): boolean {
		const ring = this.#ring;
		const bytes = recordBytes(channels, payload.length, extensions.length);
		const at = ring.claim(bytes);
		if (at < 0) return false;
		const { u8 } = ring;
		const fields = { type, kind, targetSlot: null, sender, senderShard: 0, publishedMs: monotonicMs() };
		u8.set(payload, writeRecord(ring.view, u8, at, { ...fields, channels, extensions }));
		const urgent = isUrgent(type);
		if (!nodeOnly) this.#relay?.(ring.u8.subarray(at, at + bytes), urgent);
		ring.commit();
		this.#onCommit();
		if (urgent) this.#onUrgent();
		return true;
	}

	#taken(payload: Uint8Array): PublishResult {
		this.#counters.add("messagesIn", 1);
		this.#counters.add("bytesIn", payload.length);
		return publishAccepted;
	}

	#backpressured(): PublishRefused {
		this.#counters.add("backpressured", 1);
		this.#hurry();
		return publishFull;
	}
}
