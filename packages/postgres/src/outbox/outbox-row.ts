/**
 * Names a row for ever. The id alone does not: a standby that lacks the last transactions, or a backup, gives ids again when it takes over.
 */
export interface RowName {
	/** A bigint, as text. */
	readonly id: string;
	/** Seconds since 1970, as text, with all digits. */
	readonly createdAt: string;
}

/** A row that can never be published. */
export interface DeadRow extends RowName {
	readonly reason: string;
}

/** A row of the outbox as read. */
export interface OutboxRow extends RowName {
	/** Its first 1,024 characters. */
	readonly channel: string;
	/** JSON as written; null when the row has bytes, or is too large. */
	readonly data: string | null;
	readonly bytes: Buffer | null;
	/** JSON; null = none. */
	readonly tags: string | null;
	/** The key in the row, or a unique one if it has none. */
	readonly idempotencyKey: string;
	readonly delta: boolean;
	readonly skipHistory: boolean;
	/** Size of data, tags and key together. */
	readonly size: number;
}

/**
 * - published, duplicate: it is done.
 * - dead: it can never be published.
 * - later: not now. The later rows of its channel wait for it. With `triesMax` it is dead after so many results with `triesMax`.
 */
export type RowResult =
	| { readonly outcome: "published" | "duplicate" }
	| { readonly outcome: "dead"; readonly reason: string }
	| { readonly outcome: "later"; readonly reason: string; readonly triesMax?: number };
