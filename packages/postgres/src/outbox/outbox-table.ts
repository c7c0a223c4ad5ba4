import type { Connection } from "../connection.ts";
import { quoted } from "../postgres-options.ts";
import type { DeadRow, OutboxRow, RowName } from "./outbox-row.ts";

interface ReadLimits {
	readonly rowsMax: number;
	/** A larger row is read without its contents. */
	readonly rowBytesMax: number;
	/** Most bytes of all rows together. The first row is always read. */
	readonly bytesMax: number;
}

/** The statements of the outbox, on the connection of its reader. */
export class OutboxTable {
	readonly #connection: Connection;
	readonly #name: string;
	/** Quoted. */
	readonly #schema: string;

	/** @param name of the schema. */
	constructor(connection: Connection, name: string) {
		this.#connection = connection;
		this.#name = name;
		this.#schema = quoted(name);
	}

	/** Tries to make this connection the reader. It stays the reader until it is closed. */
	async lock(): Promise<boolean> {
		const [{ locked }] = (await this.#connection.query("SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS locked", [
			`shardcast outbox ${this.#name}`,
		])) as [{ locked: boolean }];
		return locked;
	}

	/** Subscribes the connection to notifications about new rows. */
	async listen(): Promise<void> {
		await this.#connection.query(`LISTEN ${this.#name}_outbox`);
	}

	/**
	 * The oldest rows, in the order of their ids. The table is a queue: a row that is committed after later ones have been published is still found.
	 * @param without channels that have to wait. @param only null = all others. @returns `isAll`: there were no more.
	 */
	async read(
		{ rowsMax, rowBytesMax, bytesMax }: ReadLimits,
		without: readonly string[],
		only: readonly string[] | null = null,
	): Promise<{ readonly rows: readonly OutboxRow[]; readonly isAll: boolean }> {
		const rows = await this.#connection.query<OutboxRow & { readonly found: number }>(
			`WITH waiting AS (
				SELECT *, coalesce(octet_length(data::text), octet_length(bytes))::bigint + coalesce(octet_length(tags::text), 0)
					+ coalesce(octet_length(idempotency_key), 0) AS size
				FROM ${this.#schema}.outbox
				WHERE channel <> ALL ($4::text[]) AND ($5::text[] IS NULL OR channel = ANY ($5::text[])) ORDER BY id LIMIT $1
			), summed AS (
				SELECT *, size <= $2 AS fits, sum(CASE WHEN size <= $2 THEN size ELSE 0 END) OVER (ORDER BY id) AS upto FROM waiting
			)
			SELECT id::text, extract(epoch FROM created_at)::text AS "createdAt", left(channel, 1024) AS channel, size::float8,
				(SELECT count(*)::int FROM waiting) AS found, delta, skip_history AS "skipHistory",
				CASE WHEN fits THEN data::text END AS data,
				CASE WHEN fits THEN bytes END AS bytes,
				CASE WHEN fits THEN tags::text END AS tags,
				CASE WHEN fits AND idempotency_key <> '' THEN idempotency_key
					ELSE 'outbox:' || (SELECT i.id FROM ${this.#schema}.installation i) || ':' || summed.id || ':' || extract(epoch FROM created_at)
				END AS "idempotencyKey"
			FROM summed WHERE upto - CASE WHEN fits THEN size ELSE 0 END = 0 OR upto <= $3 ORDER BY summed.id`,
			[rowsMax, rowBytesMax, bytesMax, without, only],
		);
		const found = rows[0]?.found ?? 0;
		return { rows, isAll: found < rowsMax && rows.length === found };
	}

	async remove(rows: readonly RowName[]): Promise<void> {
		if (rows.length === 0) return;
		await this.#connection.query(
			`DELETE FROM ${this.#schema}.outbox o USING unnest($1::bigint[], $2::numeric[]) AS done (id, created)
			WHERE o.id = done.id AND extract(epoch FROM o.created_at) = done.created`,
			[rows.map(({ id }) => id), rows.map(({ createdAt }) => createdAt)],
		);
	}

	/** Moves rows to the table of those that cannot be published. */
	async setAside(rows: readonly DeadRow[]): Promise<void> {
		if (rows.length === 0) return;
		await this.#connection.query(
			`WITH given AS (SELECT * FROM unnest($1::bigint[], $2::numeric[], $3::text[]) AS given (id, created, reason)),
			dead AS (
				DELETE FROM ${this.#schema}.outbox o USING given
				WHERE o.id = given.id AND extract(epoch FROM o.created_at) = given.created RETURNING o.*, given.reason
			)
			INSERT INTO ${this.#schema}.outbox_dead (id, channel, data, bytes, tags, idempotency_key, delta, skip_history, created_at, reason)
			SELECT id, channel, data, bytes, tags, idempotency_key, delta, skip_history, created_at, reason FROM dead`,
			[rows.map(({ id }) => id), rows.map(({ createdAt }) => createdAt), rows.map(({ reason }) => reason)],
		);
	}

	/** How long ago the oldest row was inserted; 0 = there is none. */
	async ageMs(): Promise<number> {
		const [row] = await this.#connection.query<{ readonly age: number }>(
			`SELECT CASE WHEN isfinite(created_at) THEN (extract(epoch FROM clock_timestamp() - created_at) * 1000)::float8 ELSE 0 END AS age
			FROM ${this.#schema}.outbox ORDER BY id LIMIT 1`,
		);
		return Math.max(0, row?.age ?? 0);
	}
}
