import type { FullReason, Position, PublishRefused, PublishTaken, RecordKind } from "@shardcast/wire";

export type { Position };

/** How long a channel's publications are kept: the newest `size`, until nobody has published for `ttlMs`. Then all of them are gone at once. */
export interface HistoryLimits {
	/** Publications, from 1. */
	readonly size: number;
	/** 1 ms to 49 days. */
	readonly ttlMs: number;
	/** How long offset and epoch outlive the last publication or read: at least `ttlMs`, at most 49 days. */
	readonly metaTtlMs: number;
}

/** A second publication with the same key in the same channel within `ttlMs` is answered with the position of the first. */
export interface Idempotency {
	readonly key: string;
	/** 1 ms to 49 days. */
	readonly ttlMs: number;
}

export interface PublishOptions {
	readonly history: HistoryLimits;
	readonly idempotency?: Idempotency;
	/** Text by default. */
	readonly kind?: RecordKind;
	/** Who published, in the encoding of whoever reads it: the broker only carries it. */
	readonly info?: Uint8Array;
	readonly tags?: Readonly<Record<string, string>>;
	/** Subscribers may get the difference to the previous publication instead of the whole. */
	readonly delta?: boolean;
	/** The connection that is not to get it back: its number, and the shard that it lives on in its present life (`shardLife`). */
	readonly sender?: { readonly id: number; readonly life: number };
}

/** Published: it survives the death of any process, and every reader gets it. Or it was a duplicate. */
export type BrokerTaken = PublishTaken & { readonly position: Position };
/** Nothing has happened: try again in a moment. */
export type BrokerFull = PublishRefused & { readonly outcome: "full"; readonly reason: FullReason };
/** A publication of that length never fits. */
export type BrokerTooLarge = PublishRefused & { readonly outcome: "too_large"; readonly detail: string };

export interface Publication {
	readonly offset: number;
	/** Offset of the publication before it in this channel; 0 = it is the first. Not always `offset - 1`: Kafka's offsets have gaps. */
	readonly previousOffset: number;
	readonly kind: RecordKind;
	/** The caller owns it. */
	readonly data: Uint8Array;
	/** Absent unless given when it was published; the same for the next ones. */
	readonly info?: Uint8Array;
	readonly tags?: Readonly<Record<string, string>>;
	readonly delta?: true;
}

export interface HistoryOptions {
	/**
	 * Only what comes after it, or with `reverse` before it. An epoch that is not the channel's finds nothing: the caller compares it with
	 * that of the result. An offset older than what is kept finds what is left: the caller looks at `previousOffset` of the first.
	 */
	readonly since?: Position;
	/** Most publications; absent = all, 0 = the position only. */
	readonly limit?: number;
	/** The newest first. */
	readonly reverse?: boolean;
}

export interface History {
	readonly publications: readonly Publication[];
	/** The position of the channel, whatever was asked for. */
	readonly position: Position;
	/** Absent unless the channel has Kafka's offsets. */
	readonly kafka?: KafkaNumbering;
}

/** A channel that one partition of Kafka feeds, and nobody else: its offset is Kafka's + 1, its epoch stands for the partition. */
export interface KafkaNumbering {
	readonly epoch: string;
	/** What subscribers were told before the first publication. An offset other than 0 in it is one of the epoch above. */
	readonly formerEpoch: string;
	/** Offset of the first publication since the log knows the channel: what was before it, nobody here knows. */
	readonly born: number;
	/** The highest offset that was removed; 0 = none. */
	readonly removed: number;
}

/** A summary of a channel's history, for the console. */
export interface HistoryGlance {
	/** Of the last publication. */
	readonly offset: number;
	/** Publications that are kept; fewer if the memory was too small, or Kafka's offsets have gaps. */
	readonly kept: number;
}

/** A promise for brokers on other machines. */
export type Answer<T> = T | Promise<T>;

/**
 * Gives each publication of a channel its place in one order, and keeps the last ones. For channels with history; others need no order across
 * shards and go over the bus. It does not say how publications reach readers.
 *
 * Any number of processes may use one broker. Null = it cannot tell at this instant; ask again in a moment.
 * @throws RangeError for a channel name, limits or data that it can never take.
 */
export interface Broker {
	publish(channel: string, data: Uint8Array, options: PublishOptions): Answer<BrokerTaken | BrokerFull | BrokerTooLarge>;
	history(channel: string, options?: HistoryOptions): Answer<History | null>;
	/** A channel that nobody has published to is at offset 0 of the epoch that its first publication will have, as far as can be told now. Asking keeps offset and epoch alive, as `history` does. */
	position(channel: string): Answer<Position | null>;
	/** Forgets the publications; offset and epoch go on. False = not now, try again in a moment. */
	removeHistory(channel: string): Answer<boolean>;
}
