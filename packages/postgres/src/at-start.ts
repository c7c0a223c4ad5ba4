import type { Config } from "@shardcast/config";
import { StartupError } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { Connection } from "./connection.ts";
import { migrate } from "./migrations.ts";
import type { PostgresError } from "./postgres-error.ts";
import { postgresOptionsOf } from "./postgres-options.ts";

/**
 * Checks before a server starts that PostgreSQL can be used, and brings its tables up to date. If PostgreSQL cannot be reached, the server starts
 * anyway and uses it later.
 * @throws StartupError when it refuses the login, is too old, or a right is missing.
 */
export async function checkPostgres(config: Config, log: Pick<Log, "info" | "error">): Promise<void> {
	const options = postgresOptionsOf(config, "shardcast:start");
	if (options === null) return;
	let connection: Connection | null = null;
	try {
		connection = await Connection.open(options);
		await migrate(connection, options.schema);
		log.info(`${connection.where}: PostgreSQL ${connection.version}, schema ${options.schema}`);
	} catch (error) {
		const { kind, message } = error as PostgresError;
		if (kind === "login" || kind === "unsuitable" || kind === "refused")
			throw new StartupError(`--postgres-url: ${message}`, { flag: "--postgres-url", cause: error });
		log.error(`${message}; what needs it waits until it is`);
	} finally {
		connection?.close();
	}
}
