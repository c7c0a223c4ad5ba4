/**
 * One record of a shard's event ring, as JSON. `at` = milliseconds since 1970; `key` = the shard's number for the connection, never reused by
 * the same process.
 *
 * A snapshot brings the collector up to date, after the ring was full or when webhooks are switched on: `snapshot`, then for each client
 * `client`, its `channel`s and `clientEnd`, then `snapshotEnd`.
 */
export type ClientRecord =
	| readonly ["connect" | "client", at: number, key: number, client: string, user: string, transport: string, protocol: string]
	| readonly ["disconnect", at: number, key: number, code: number]
	| readonly ["subscribe" | "channel", at: number, key: number, channel: string]
	| readonly ["unsubscribe", at: number, key: number, channel: string, code: number]
	| readonly ["cache_empty", at: number, channel: string]
	/** @property lost events that did not fit into the ring since the last snapshot. @property isQuiet differences are not sent as events. */
	| readonly ["snapshot", at: number, lost: number, isQuiet: boolean]
	| readonly ["clientEnd", at: number, key: number]
	| readonly ["snapshotEnd", at: number];
