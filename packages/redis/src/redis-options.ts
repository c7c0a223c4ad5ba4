import type { RedisAddress } from "@shardcast/config";

/** How to reach Redis. */
export interface RedisOptions {
	readonly address: RedisAddress;
	readonly tls: null | {
		/** Paths of PEM files; null = none. */
		readonly caPath: string | null;
		readonly certPath: string | null;
		readonly keyPath: string | null;
		readonly verify: boolean;
	};
	/** Limit for connecting, in milliseconds. */
	readonly connectTimeoutMs: number;
	/** Limit for a reply, in milliseconds. When it passes, all connections are replaced. */
	readonly answerTimeoutMs: number;
	/** Name of the connections in Redis' CLIENT LIST. No spaces. */
	readonly clientName: string;
	/** Most commands with `waitMs` that wait while Redis cannot be reached. */
	readonly waitingMax: number;
}
