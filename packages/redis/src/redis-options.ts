import type { RedisAddress } from "@shardcast/config";

/** How to reach Redis. */
export interface RedisOptions {
	readonly address: RedisAddress;
	readonly tls: null | {
		/** PEM files; null = none. */
		readonly caPath: string | null;
		readonly certPath: string | null;
		readonly keyPath: string | null;
		readonly verify: boolean;
	};
	/** For a connection to be made. */
	readonly connectTimeoutMs: number;
	/** For an answer. When none comes, all connections are closed and made again. */
	readonly answerTimeoutMs: number;
	/** By which Redis lists its connections: no spaces. */
	readonly clientName: string;
	/** Commands that may wait while Redis is not reached, for those that are sent with `waitMs`. */
	readonly waitingMax: number;
}
