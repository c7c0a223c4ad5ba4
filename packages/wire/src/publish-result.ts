/** The position of a publication in its channel, or of a channel after its last publication. Only channels with history have positions. */
export interface Position {
	/** Increases within an epoch, from 1; 0 = no publication yet. */
	readonly offset: number;
	/** Identifies one numbering of the channel. Offsets of different epochs cannot be compared. */
	readonly epoch: string;
}

/** The message is on its way to the clients or, through Kafka, all in-sync replicas have it. */
export interface PublishAccepted {
	readonly outcome: "accepted";
	/** Its position. Present only if exactly one of the message's channels keeps a history. */
	readonly position?: Position;
	/** The idempotency key was used before. Nothing was published; the position is that of the first publication. */
	readonly duplicate?: true;
}

/**
 * Why there is no room. `locked`: another process is publishing. `readers`: the slowest reader has not made room. `memory`: the machine has no
 * shared memory left. `keys`: the table of idempotency keys is full of unexpired keys.
 */
export type FullReason = "locked" | "readers" | "memory" | "keys";

export interface PublishRefused {
	/**
	 * `full`: there is no room now, try again. `stopped`: a handler refused it. `failed`: a handler threw, or did not finish in time.
	 * `unacknowledged`: Kafka refused it, or did not answer in time, and may have written it. `invalid`, `too_large`: its channels do not accept
	 * such a message; do not try again.
	 */
	readonly outcome: "full" | "stopped" | "failed" | "unacknowledged" | "invalid" | "too_large";
	/**
	 * With `full`, if the channel's history has no room; `broker` = the server that orders publications cannot be reached, or accepts nothing now.
	 * With `unacknowledged`, `broker` if that server did not answer.
	 */
	readonly reason?: FullReason | "broker";
	/** Details for people, such as Kafka's error. Always present with `invalid` and `too_large`. */
	readonly detail?: string;
}

/** The result of a publish, the same for WebSockets, HTTP, the library, Kafka and brokers. */
export type PublishResult = PublishAccepted | PublishRefused;

/** A result, or a promise if the publish has to wait. The promise never rejects. */
export type Publishing = PublishResult | Promise<PublishResult>;

/** A shared result without a position, so that publishing a message allocates none. */
export const publishAccepted: PublishAccepted = Object.freeze({ outcome: "accepted" });
export const publishFull: PublishRefused = Object.freeze({ outcome: "full" });
export const publishStopped: PublishRefused = Object.freeze({ outcome: "stopped" });
export const publishFailed: PublishRefused = Object.freeze({ outcome: "failed" });
