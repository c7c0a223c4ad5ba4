import { counter, gauge, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

/** What a process has done with PostgreSQL. */
interface PostgresReading {
	readonly isConnected: boolean;
	/** Connections that were lost or could not be opened. */
	readonly lost: number;
	readonly written: number;
	readonly failed: number;
}

/** Durable channels in PostgreSQL, from a shard. */
export const postgresStoreMetrics: readonly ReadMetric<PostgresReading & { readonly refused: number }>[] = [
	gauge(
		"shardcast_postgres_store_connected",
		"none",
		"1 while PostgreSQL, which keeps the durable channels, is connected; 0 while publications to them are refused.",
		single(({ isConnected }) => Number(isConnected)),
	),
	counter(
		"shardcast_postgres_store_writes_total",
		"none",
		"Publications to durable channels in PostgreSQL, and openings of channels: written, failed = PostgreSQL gave no answer or an error, refused = too many were waiting, or the store is full.",
		singleBy("result", ({ written, failed, refused }) => ({ written, failed, refused })),
	),
	counter(
		"shardcast_postgres_store_connections_lost_total",
		"none",
		"Times that the connection to PostgreSQL for durable channels was lost or could not be opened.",
		single(({ lost }) => lost),
	),
];

/** Blocked users and revoked tokens in PostgreSQL, from the process that keeps the list of a node. */
export const postgresRevocationMetrics: readonly ReadMetric<PostgresReading>[] = [
	gauge(
		"shardcast_postgres_revocations_connected",
		"none",
		"1 while PostgreSQL, which keeps blocked users and revoked tokens, is connected.",
		single(({ isConnected }) => Number(isConnected)),
	),
	counter(
		"shardcast_postgres_revocations_writes_total",
		"none",
		"Entries of the list written to PostgreSQL (written), and attempts that failed and are repeated (failed).",
		singleBy("result", ({ written, failed }) => ({ written, failed })),
	),
	counter(
		"shardcast_postgres_revocations_connections_lost_total",
		"none",
		"Times that the connection to PostgreSQL for blocked users and revoked tokens was lost or could not be opened.",
		single(({ lost }) => lost),
	),
];
