import type { StoredPublication } from "./stored-record.ts";

/** The state of a channel. */
export interface StoredChannel {
	/** Two random halves. Unlike epochs in memory, they outlive the cluster. */
	readonly epoch0: number;
	readonly epoch1: number;
	/** Offset of the last publication; 1 = none yet. */
	readonly last: number;
	/** Offset of the first publication kept; greater than `last` if there is none. */
	readonly first: number;
}

export interface Storing extends Omit<StoredPublication, "offset"> {
	readonly history: { readonly size: number; readonly ttlMs: number; readonly metaTtlMs: number };
	readonly idempotency?: { readonly key: string; readonly ttlMs: number };
}

/** `full`: the store has its maximum size, or too many publications wait to be written. */
export type StoreOutcome = "full" | { readonly offset: number; readonly channel: StoredChannel; readonly duplicate: boolean };

/** At once from a file, later from a database. */
type Answer<T> = T | Promise<T>;

/** Number of publications older than the history that are kept for readers that pass publications on and may be late. */
export const lateMax = 1024;

/**
 * Stores the history of durable channels, and the positions of their consumers. When `publish` has resolved, the publication survives everything that the
 * store survives. A new channel is at offset 1, so publications have offsets 2, 3, and so on. Any number of processes may use one store at once: it decides
 * the order.
 *
 * What returns a promise rejects if the store cannot be read or written.
 */
export interface DurableStore {
	readonly positions: ConsumerPositions;
	/** Bytes in use, as of the last sweep. */
	readonly bytes: number;
	/** Stores a publication. When it rejects, the publication is not in the store, or the store could not answer. */
	publish(channel: string, publication: Storing): Promise<StoreOutcome>;
	/** Returns the channel as it is in the store. Creates it if it does not exist. */
	open(channel: string, metaTtlMs: number): Promise<StoredChannel | "full">;
	/** The channel as this process knows it. Null if it was never used, has expired, or is not known here. */
	channel(channel: string): StoredChannel | null;
	/** Publications after an offset, oldest first. @param until last offset, inclusive. */
	read(channel: string, after: number, until: number, limit: number): Answer<readonly StoredPublication[]>;
	/** Like `read`, but includes older publications than the history if they still exist. For readers that pass publications on and may be late. */
	readLate(channel: string, after: number, limit: number): Answer<readonly StoredPublication[]>;
	/** Newest first. @param before the offset to start below. */
	readReverse(channel: string, before: number, limit: number): Answer<readonly StoredPublication[]>;
	/** Reads the state of channels, for a process that may have missed something. Absent = `channel` always knows it. */
	refresh?(channels: readonly string[]): Promise<void>;
	/** Removes expired data, a little at a time. Call about once a second. */
	sweep(): Promise<void>;
	/** Closes the store when writes in progress are done. */
	close(): Promise<void>;
}

/** A consumer's position: it has acknowledged everything up to and including this offset. */
export interface ConsumerPosition {
	readonly offset: number;
	readonly epoch: string;
}

/** `none`: the consumer does not exist. `epoch`: the offset belongs to another epoch. */
export type AcknowledgeOutcome = "acknowledged" | "none" | "epoch";

/**
 * Positions of consumers: one per user, channel and consumer. A position only moves forward. Acknowledgements are written every 100 ms; if the process dies
 * before, their publications are delivered again.
 */
export interface ConsumerPositions {
	/** Number of positions, as of the last sweep. */
	readonly count: number;
	/** Failed writes of acknowledgements. They are retried. */
	readonly failures: number;
	/** The consumer's position as this process knows it: at least since `begin`, for as long as `renew` is called. Null = none. */
	of(user: string, channel: string, consumer: string): ConsumerPosition | null;
	/** The consumer's position in the store. */
	look(user: string, channel: string, consumer: string): Answer<ConsumerPosition | null>;
	/** Returns the consumer's position. Creates it at `start` if it does not exist; null when there are too many. */
	begin(user: string, channel: string, consumer: string, start: ConsumerPosition, ttlMs: number): Promise<ConsumerPosition | null>;
	/** Keeps a connected consumer's position alive. Call about once a minute. */
	renew(user: string, channel: string, consumer: string): Promise<void>;
	/** Moves a position anywhere, also backward. For a consumer whose next publication is gone. */
	jump(user: string, channel: string, consumer: string, to: ConsumerPosition): Promise<void>;
	/** Acknowledges everything up to and including this offset. Ignores an offset lower than the last one. */
	acknowledge(user: string, channel: string, consumer: string, position: ConsumerPosition): AcknowledgeOutcome;
	remove(user: string, channel: string, consumer: string): Promise<void>;
	/** Writes acknowledgements. Never rejects: failed writes are retried. */
	flush(): Promise<void>;
}
