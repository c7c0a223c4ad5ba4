import { type Config, type PostgresAddress, parsePostgresAddress } from "@shardcast/config";

/** How to reach PostgreSQL, and in which schema the tables are. */
export interface PostgresOptions {
	readonly address: PostgresAddress;
	/** Letters, digits and underscores, but maybe a reserved word: write it into statements with `quoted`. */
	readonly schema: string;
	/** Time limit for connecting. */
	readonly connectTimeoutMs: number;
	/** Time limit for an answer. When it passes, the connection is closed. */
	readonly answerTimeoutMs: number;
	/** Name of the connection in PostgreSQL's lists. */
	readonly clientName: string;
}

/** From the options of the server; null = no PostgreSQL is configured. @param clientName such as "shardcast:n1:shard-0". */
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

/** A schema as it stands in a statement. */
export function quoted(schema: string): string {
	return `"${schema}"`;
}
