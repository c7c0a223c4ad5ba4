import type { FullReason, Position, PublishAccepted, PublishRefused, RecordKind } from "@shardcast/wire";

export type { Position };

/** How long a channel's publications are kept: the newest `size`, until nothing has been published for `ttlMs`. Then all expire at once. */
export interface HistoryLimits {
	/** Number of publications, at least 1. */
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
	/** The publisher. Opaque to the broker. */
	readonly info?: Uint8Array;
	readonly tags?: Readonly<Record<string, string>>;
	/** Trace context, for those who read it from a log; brokers that keep publications elsewhere leave it out. */
	readonly trace?: Uint8Array;
	/** Subscribers may get a delta to the previous publication instead of the whole. */
	readonly delta?: boolean;
	/** The connection that must not get the message back: its number, and the incarnation of its shard (`incarnationId`). */
	readonly sender?: { readonly id: number; readonly life: number };
}

/** Published, or a duplicate. A publication survives the death of any process, and every reader gets it. */
export type BrokerAccepted = PublishAccepted & { readonly position: Position };
/** Nothing was published: try again in a moment. `broker` = the server that orders publications cannot be reached, or accepts nothing now. */
export type BrokerFull = PublishRefused & { readonly outcome: "full"; readonly reason: FullReason | "broker" };
/** The connection broke, so it may or may not have been published. */
export type BrokerUnacknowledged = PublishRefused & {
	readonly outcome: "unacknowledged";
	readonly reason: "broker";
	readonly detail: string;
};
/** The publication can never fit. */
export type BrokerTooLarge = PublishRefused & { readonly outcome: "too_large"; readonly detail: string };

export interface Publication {
	readonly offset: number;
	/** Offset of the previous publication in this channel; 0 for the first. Not always `offset - 1`: Kafka's offsets have gaps. */
	readonly previousOffset: number;
	readonly kind: RecordKind;
	/** A copy, owned by the caller. */
	readonly data: Uint8Array;
	/** Absent unless given when it was published, like the fields after it. */
	readonly info?: Uint8Array;
	readonly tags?: Readonly<Record<string, string>>;
	readonly delta?: true;
}

export interface HistoryOptions {
	/**
	 * Returns only publications after this position, or before it with `reverse`. With another epoch than the channel's the result is empty:
	 * compare the epochs. If publications after the offset are gone, the result has the rest: check `previousOffset` of the first one.
	 */
	readonly since?: Position;
	/** Most publications returned; absent = all, 0 = only the position. */
	readonly limit?: number;
	/** Newest first. */
	readonly reverse?: boolean;
}

export interface History {
	readonly publications: readonly Publication[];
	/** Current position of the channel, whatever the options. */
	readonly position: Position;
	/** Present only if the channel gets its offsets and epoch from elsewhere: a Kafka partition, Redis, or the durable store. */
	readonly given?: GivenNumbering;
}

/**
 * Numbering of a channel that another place decides. Of one that a single Kafka partition feeds, the offset is Kafka's + 1, and the epoch identifies the
 * partition. Of one that mirrors Redis or the durable store, both are as there.
 */
export interface GivenNumbering {
	readonly epoch: string;
	/** The epoch that subscribers got before the first publication. Offsets other than 0 in it count as offsets of the current epoch. */
	readonly formerEpoch: string;
	/** Offset of the first publication that the log has seen. Earlier ones are unknown here. */
	readonly born: number;
	/** Highest removed offset; 0 = none. */
	readonly removed: number;
}

/** A summary of a channel's history, for the console. */
export interface HistorySummary {
	/** Offset of the last publication. */
	readonly offset: number;
	/** Publications kept, at most; fewer if memory was too small or Kafka's offsets have gaps. */
	readonly kept: number;
}

/** The result of a broker call: a promise if the broker is on another machine. */
export type Answer<T> = T | Promise<T>;

/**
 * Orders the publications of each channel and keeps the last ones. Used for channels with history; other channels need no order across
 * shards and use the bus. How publications reach readers is not part of this interface.
 *
 * Any number of processes may use one broker. A null result means "not available right now": ask again in a moment.
 * @throws RangeError for a channel name, limits or data that are never valid.
 */
export interface Broker {
	publish(
		channel: string,
		data: Uint8Array,
		options: PublishOptions,
	): Answer<BrokerAccepted | BrokerFull | BrokerTooLarge | BrokerUnacknowledged>;
	history(channel: string, options?: HistoryOptions): Answer<History | null>;
	/** A channel without publications is at offset 0 of the epoch that its first publication is expected to get. Like `history`, a call keeps offset and epoch alive. */
	position(channel: string): Answer<Position | null>;
	/** Removes the publications; offset and epoch continue. False = not possible right now, try again in a moment. */
	removeHistory(channel: string): Answer<boolean>;
}
