import { type Config, type PostgresAddress, parsePostgresAddress } from "@shardcast/config";

/** How to reach PostgreSQL, and which schema is ours. */
export interface PostgresOptions {
	readonly address: PostgresAddress;
	/** Checked by the options: it needs no quotes. */
	readonly schema: string;
	/** For a connection to be made. */
	readonly connectTimeoutMs: number;
	/** For an answer. When none comes, the connection is closed. */
	readonly answerTimeoutMs: number;
	/** By which PostgreSQL lists the connection. */
	readonly clientName: string;
}

/** By the options of the server; null = no PostgreSQL is configured. @param clientName such as "shardcast:n1:shard-0". */
export function postgresOptionsOf(config: Config, clientName: string): PostgresOptions | null {
	if (config.postgresAddress === undefined) return null;
	return {
		address: parsePostgresAddress(config.postgresAddress),
		schema: config.postgresSchema,
		connectTimeoutMs: config.postgresConnectTimeoutMs,
		answerTimeoutMs: config.postgresTimeoutMs,
		clientName,
	};
}
