import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import { type PostgresAddress, postgresAddressText } from "@shardcast/config";
import type { Client } from "pg";
import { PostgresError, type PostgresErrorKind, postgresError } from "./postgres-error.ts";
import type { PostgresOptions } from "./postgres-options.ts";

/** `server_version_num` of the oldest version that works. */
const versionMin = 140_000;

/**
 * Parameters of a session. A process that hangs, or whose machine is gone, loses its session and its locks after 15 s. A session in use runs a
 * statement more often: see `aliveEveryMs`.
 */
const sessionParameters = [
	"SET idle_session_timeout = '15s'",
	"SET idle_in_transaction_session_timeout = '15s'",
	// With it, a statement that waits for a lock notices that its process is gone.
	"SET client_connection_check_interval = '1s'",
	"SET tcp_keepalives_idle = 5",
	"SET tcp_keepalives_interval = 3",
	"SET tcp_keepalives_count = 3",
	"SET default_transaction_isolation = 'read committed'",
].join(";");

/** With them, the connection can be used for other statements. */
const answers: ReadonlySet<PostgresErrorKind> = new Set(["busy", "refused", "unsuitable"]);

/** How often a session in use runs a statement at least: `ping`. */
export const aliveEveryMs = 4000;

/**
 * One connection to PostgreSQL. It is never reopened: when it is lost, its locks are lost, too, and its owner must start over.
 *
 * The driver is loaded with the first connection, so that a server without PostgreSQL does not pay for it.
 */
export class Connection {
	readonly where: string;
	/** Such as "15.8 (Debian 15.8-0+deb12u1)". */
	readonly version: string;
	readonly #client: Client;
	#isLost = false;
	/** Called once, when the connection is lost or closed. */
	onLost: () => void = () => undefined;
	/** Called for each notification of the channels that it listens to. */
	onNotification: (payload: string) => void = () => undefined;

	private constructor(client: Client, where: string, version: string) {
		this.#client = client;
		this.where = where;
		this.version = version;
	}

	/** @throws PostgresError */
	static async open({ address, connectTimeoutMs, answerTimeoutMs, clientName }: PostgresOptions): Promise<Connection> {
		const where = postgresAddressText(address);
		const { default: pg } = await import("pg");
		const client = new pg.Client({
			host: address.host,
			port: address.port,
			user: address.user,
			password: address.password,
			database: address.database,
			ssl: tlsOf(address, where),
			connectionTimeoutMillis: connectTimeoutMs,
			query_timeout: answerTimeoutMs,
			application_name: clientName,
			keepAlive: true,
		});
		// Errors between statements are followed by "end".
		client.on("error", () => undefined);
		try {
			await client.connect();
			await client.query(sessionParameters);
			const { rows } = await client.query(
				"SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number, pg_is_in_recovery() AS standby",
			);
			const { version, number, standby } = rows[0] as { version: string; number: number; standby: boolean };
			if (standby) throw new PostgresError("unavailable", `PostgreSQL at ${where} is a standby, which accepts no writes`);
			const connection = new Connection(client, where, version);
			client.on("end", () => connection.#lost());
			client.on("notification", ({ payload = "" }) => connection.onNotification(payload));
			if (number < versionMin) throw tooOld(where, version);
			return connection;
		} catch (error) {
			client.end().catch(() => undefined);
			// Old versions do not know all session parameters.
			if ((error as { readonly code?: string }).code === "42704") throw tooOld(where, "too old");
			throw postgresError(error, where, false);
		}
	}

	get isLost(): boolean {
		return this.#isLost;
	}

	/** @param timeoutMs instead of the usual one. @throws PostgresError; when there was no answer, the connection is closed. */
	async query<Row>(text: string, values: readonly unknown[] = [], timeoutMs?: number): Promise<readonly Row[]> {
		if (this.#isLost) throw new PostgresError("unavailable", `PostgreSQL at ${this.where}: the connection is lost`);
		try {
			const limit = timeoutMs === undefined ? {} : { query_timeout: timeoutMs };
			const { rows } = await this.#client.query({ text, values: [...values], ...limit });
			return rows as readonly Row[];
		} catch (error) {
			const problem = postgresError(error, this.where, true);
			if (!answers.has(problem.kind)) this.close();
			throw problem;
		}
	}

	/** Runs several statements without parameters. @throws PostgresError */
	async run(statements: string): Promise<void> {
		await this.query(statements);
	}

	/** Shows PostgreSQL that the process is there, and notices a PostgreSQL that hangs. @throws PostgresError */
	async ping(): Promise<void> {
		await this.query("SELECT 1");
	}

	/** Ends the session, which releases its locks. A running statement is cut off. */
	close(): void {
		this.#lost();
		this.#client.end().catch(() => undefined);
	}

	#lost(): void {
		if (this.#isLost) return;
		this.#isLost = true;
		this.onLost();
	}
}

function tooOld(where: string, version: string): PostgresError {
	return new PostgresError("unsuitable", `PostgreSQL at ${where} is version ${version}; it must be 14 or later`);
}

/** @throws PostgresError when the file cannot be read now. */
function tlsOf({ tlsMode, tlsCa, host }: PostgresAddress, where: string): ConnectionOptions | false {
	if (tlsMode === "disable") return false;
	try {
		const ca = tlsCa === "" ? {} : { ca: readFileSync(tlsCa, "utf8") };
		return { ...ca, host, rejectUnauthorized: tlsMode === "verify-full" };
	} catch (error) {
		throw postgresError(new Error(`sslrootcert: ${(error as Error).message}`, { cause: error }), where, false);
	}
}
