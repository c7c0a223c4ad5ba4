import { randomInt } from "node:crypto";
import { type Connection, PostgresError } from "@shardcast/postgres";

/** For all channels and positions, of which there may be millions. */
const changeMsMax = 120_000;

/**
 * Compares the server of a new connection with the one that the tables were on before. Nothing may be stored before that. If it is another one, or a standby
 * that was promoted, all channels get another epoch. Resolves with whether that was done. @param schema quoted. @throws PostgresError
 */
export async function knowServer(connection: Pick<Connection, "query">, schema: string): Promise<boolean> {
	const identity = await identityOf(connection);
	if (identity === null) return false;
	const epoch0 = randomInt(1, 2 ** 31);
	// As `epochText` of packages/channel-log writes it.
	const [row] = await connection.query<{ readonly changed: boolean }>(
		`SELECT ${schema}.durable_server_is($1, $2, $3) AS changed`,
		[identity, epoch0, epoch0.toString(36)],
		changeMsMax,
	);
	return row!.changed;
}

/** Of the server and of its timeline, which a promoted standby begins. Null = this kind of server does not say. */
async function identityOf(connection: Pick<Connection, "query">): Promise<string | null> {
	try {
		const [row] = await connection.query<{ readonly identity: string }>(
			"SELECT system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) AS identity FROM pg_control_system()",
		);
		return row!.identity;
	} catch (error) {
		if (error instanceof PostgresError && (error.kind === "refused" || error.kind === "unsuitable")) return null;
		throw error;
	}
}
