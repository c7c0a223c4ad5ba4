import type { Connection } from "./connection.ts";
import { PostgresError } from "./postgres-error.ts";
import { quoted } from "./postgres-options.ts";
import { durableServer, durableTables } from "./tables/durable-tables.ts";
import { revocationTables } from "./tables/revocation-tables.ts";

/**
 * The steps from one version of the tables to the next. A released step never changes, and a test compares them: for other tables or functions, add a step. `schema` is quoted, since it may be a reserved word; `name` is not.
 */
export const steps: readonly ((schema: string, name: string) => string)[] = [
	(schema, name) => `
		CREATE TABLE ${schema}.installation (
			id uuid NOT NULL DEFAULT gen_random_uuid(),
			only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
		);
		INSERT INTO ${schema}.installation DEFAULT VALUES;

		CREATE TABLE ${schema}.outbox (
			id bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY,
			channel text NOT NULL,
			data json,
			bytes bytea,
			tags jsonb,
			idempotency_key text,
			delta boolean NOT NULL DEFAULT false,
			skip_history boolean NOT NULL DEFAULT false,
			created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
			CONSTRAINT data_or_bytes CHECK (num_nonnulls(data, bytes) = 1)
		);

		CREATE TABLE ${schema}.outbox_dead (
			id bigint PRIMARY KEY,
			channel text NOT NULL,
			data json,
			bytes bytea,
			tags jsonb,
			idempotency_key text,
			delta boolean NOT NULL,
			skip_history boolean NOT NULL,
			created_at timestamptz NOT NULL,
			failed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
			reason text NOT NULL
		);

		CREATE FUNCTION ${schema}.notify_outbox() RETURNS trigger LANGUAGE plpgsql AS $body$
		BEGIN
			PERFORM pg_notify('${name}_outbox', '');
			RETURN NULL;
		END
		$body$;
		CREATE TRIGGER notify AFTER INSERT ON ${schema}.outbox FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.notify_outbox();

		CREATE FUNCTION ${schema}.publish(
			channel text, data json, tags jsonb DEFAULT NULL, idempotency_key text DEFAULT NULL, delta boolean DEFAULT false
		) RETURNS bigint LANGUAGE plpgsql AS $body$
		DECLARE
			row_id bigint;
		BEGIN
			-- Until the end of the transaction no other one gets an id for this channel: ids follow the order of the commits.
			PERFORM pg_advisory_xact_lock(hashtextextended('${name}.outbox ' || publish.channel, 0));
			INSERT INTO ${schema}.outbox (channel, data, tags, idempotency_key, delta)
			VALUES (publish.channel, publish.data, publish.tags, publish.idempotency_key, publish.delta)
			RETURNING id INTO row_id;
			RETURN row_id;
		END
		$body$;
	`,
	// Ids are given again after TRUNCATE ... RESTART IDENTITY, and rows that failed before it stay.
	(schema) => `
		ALTER TABLE ${schema}.outbox_dead DROP CONSTRAINT outbox_dead_pkey;
		ALTER TABLE ${schema}.outbox_dead ADD COLUMN dead_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY;
	`,
	revocationTables,
	durableTables,
	durableServer,
];

/**
 * Brings the tables to the current version. Nodes that start at the same time wait for each other. If nothing has to change, it needs no CREATE
 * privilege.
 * @throws PostgresError; `unsuitable` when a right is missing, or the tables are newer than this program.
 */
export async function migrate(connection: Connection, name: string): Promise<void> {
	const schema = quoted(name);
	if ((await versionOf(connection, name)) === steps.length) return;
	await connection.query("BEGIN");
	try {
		await connection.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`shardcast migrations ${name}`]);
		const [{ exists }] = (await connection.query("SELECT to_regnamespace($1) IS NOT NULL AS exists", [schema])) as [{ exists: boolean }];
		if (!exists) await connection.query(`CREATE SCHEMA ${schema}`);
		await connection.query(
			`CREATE TABLE IF NOT EXISTS ${schema}.migrations (version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())`,
		);
		for (let version = await versionOf(connection, name); version < steps.length; version++) {
			await connection.run(steps[version]!(schema, name));
			await connection.query(`INSERT INTO ${schema}.migrations (version) VALUES ($1)`, [version + 1]);
		}
		await connection.query("COMMIT");
	} catch (error) {
		await connection.query("ROLLBACK").catch(() => undefined);
		throw error;
	}
}

async function versionOf(connection: Connection, name: string): Promise<number> {
	const schema = quoted(name);
	const [{ exists }] = (await connection.query("SELECT to_regclass($1) IS NOT NULL AS exists", [`${schema}.migrations`])) as [
		{ exists: boolean },
	];
	if (!exists) return 0;
	const [{ version }] = (await connection.query(`SELECT coalesce(max(version), 0) AS version FROM ${schema}.migrations`)) as [
		{ version: number },
	];
	if (version <= steps.length) return version;
	throw new PostgresError(
		"unsuitable",
		`PostgreSQL at ${connection.where}: the tables in schema ${name} have version ${version}, and this shardcast knows ${steps.length}; start the newer shardcast`,
	);
}
