/** Where a publication stands in its channel, or a channel after its last one. Only channels that keep history have positions. */
export interface Position {
	/** Counts up within an epoch, from 1; 0 = no publication yet. */
	readonly offset: number;
	/** Names one life of the channel's history; offsets of different epochs cannot be compared. */
	readonly epoch: string;
}

/** The message is on its way to the clients or, through Kafka, all replicas in sync have it. */
export interface PublishTaken {
	readonly outcome: "taken";
	/** Where it stands in its channel. Absent unless exactly one of the message's channels keeps a history. */
	readonly position?: Position;
	/** Its idempotency key was used before: the position is that of the publication with it, and nothing was published now. */
	readonly duplicate?: true;
}

/**
 * What there is no room in. `locked`: another process publishes at this instant. `readers`: the slowest reader has not made room. `memory`: the
 * machine's shared memory is used up. `keys`: as many idempotency keys as there is room for are younger than their time to live.
 */
export type FullReason = "locked" | "readers" | "memory" | "keys";

export interface PublishRefused {
	/**
	 * `full`: there is no room now, try again. `stopped`: a handler did not let it through. `failed`: a handler threw, or did not settle in time. `unacknowledged`: Kafka
	 * said no, or nothing in time, which does not prove that it was not written. `invalid`, `too_large`: its channels do not take such a message;
	 * trying again does not help.
	 */
	readonly outcome: "full" | "stopped" | "failed" | "unacknowledged" | "invalid" | "too_large";
	/** Of `full`, when it is the channel's history that has no room. */
	readonly reason?: FullReason;
	/** More about it for people, such as what Kafka says; with `invalid` and `too_large` always. */
	readonly detail?: string;
}

/** What came of a publish, the same for WebSockets, HTTP, the library, Kafka and brokers. */
export type PublishResult = PublishTaken | PublishRefused;

/** At once where nothing has to be waited for; a promise otherwise, which never rejects. */
export type Publishing = PublishResult | Promise<PublishResult>;

/** Results without anything more to say are made once: publishing a message allocates none. */
export const publishTaken: PublishTaken = Object.freeze({ outcome: "taken" });
export const publishFull: PublishRefused = Object.freeze({ outcome: "full" });
export const publishStopped: PublishRefused = Object.freeze({ outcome: "stopped" });
export const publishFailed: PublishRefused = Object.freeze({ outcome: "failed" });
