import { postgresAddressText } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import { PostgresLink } from "../link.ts";
import { type PostgresOptions, quoted } from "../postgres-options.ts";

/** A change of the list, as a row. */
interface RevocationRow {
	/** Names the entry. */
	readonly key: string;
	/** JSON; null = it was removed. */
	readonly entry: string | null;
	/** Seconds since 1970; null = for ever. */
	readonly until: number | null;
	/** Which list the change belongs to, and its place there. A later change of the same list is never replaced by an earlier one. */
	readonly epoch: string;
	readonly version: number;
}

interface RevocationTableParts {
	readonly options: PostgresOptions;
	readonly log: Pick<Log, "info" | "error">;
}

/** How long removed entries keep their version. */
const removedKept = "1 day";
const sweepEveryMs = 3_600_000;
/** Seconds since 1970, in the year 33,658. */
const timeMax = 1e12;

/**
 * Blocked users and revoked tokens in PostgreSQL, for all nodes: what outlives Redis and all nodes. **One per node.** While PostgreSQL cannot be reached, all
 * calls reject at once.
 */
export class RevocationTable {
	readonly where: string;
	readonly counts = { written: 0, failed: 0 };
	readonly #link: PostgresLink;
	readonly #schema: string;
	#onReady: () => void = () => undefined;
	#timer: NodeJS.Timeout | undefined;

	constructor({ options, log }: RevocationTableParts) {
		this.where = postgresAddressText(options.address);
		this.#schema = quoted(options.schema);
		this.#link = new PostgresLink({
			...{ options, log, user: "blocked users and revoked tokens" },
			onReady: () => this.#onReady(),
		});
	}

	/** For metrics. */
	reading(): { readonly isConnected: boolean; readonly lost: number; readonly written: number; readonly failed: number } {
		return { ...this.counts, isConnected: this.#link.problem === null, lost: this.#link.lost };
	}

	/** Connects in the background. @param onReady called each time that it can be used again. */
	start(onReady: () => void): void {
		this.#onReady = onReady;
		this.#link.start();
		this.#timer = setInterval(() => void this.#sweep().catch(() => undefined), sweepEveryMs);
		this.#timer.unref();
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#link.stop();
	}

	/** The entries as JSON. `epoch`: of the list of which this is a copy; "" = of none, null = nothing was ever written. @throws PostgresError */
	async load(): Promise<{ readonly epoch: string | null; readonly entries: readonly string[] }> {
		await this.#sweep();
		const rows = await this.#link.query<{ readonly epoch: string | null; readonly entry: string | null }>(
			`SELECT epoch, NULL AS entry FROM ${this.#schema}.revocation_list UNION ALL
			SELECT NULL, entry::text FROM ${this.#schema}.revocation WHERE entry IS NOT NULL AND (until IS NULL OR until > now())`,
		);
		const epoch = rows.find((row) => row.epoch !== null)?.epoch ?? null;
		return { epoch, entries: rows.flatMap(({ entry }) => entry ?? []) };
	}

	/** @param isCopy false = these changes are nowhere else: the table is a copy of no list until `replace`. @throws PostgresError */
	async write(rows: readonly RevocationRow[], isCopy: boolean): Promise<void> {
		await this.#counted(rows.length, () =>
			this.#link.query(
				`WITH ${this.#given}, listed AS (${this.#list("SELECT '' WHERE NOT $6 UNION ALL SELECT given.epoch FROM given WHERE $6 LIMIT 1", "$6")})
				${this.#put}`,
				[...arraysOf(rows), isCopy],
			),
		);
	}

	/** Makes the table a copy of a list: entries that it lacks are removed. @throws PostgresError */
	async replace(rows: readonly RevocationRow[], epoch: string, version: number): Promise<void> {
		await this.#counted(rows.length, () =>
			this.#link.query(
				`WITH ${this.#given}, gone AS (
					UPDATE ${this.#schema}.revocation r SET entry = NULL, until = NULL, epoch = $6, version = $7, changed_at = now()
					WHERE entry IS NOT NULL AND NOT EXISTS (SELECT 1 FROM given WHERE given.key = r.key) AND (r.epoch <> $6 OR r.version <= $7)
				), listed AS (${this.#list("SELECT $6::text", "false")})
				${this.#put}`,
				[...arraysOf(rows), epoch, version],
			),
		);
	}

	get #given(): string {
		return `given AS (
			SELECT * FROM unnest($1::text[], $2::text[], $3::float8[], $4::text[], $5::bigint[]) AS given (key, entry, until, epoch, version)
		)`;
	}

	get #put(): string {
		return `INSERT INTO ${this.#schema}.revocation AS r (key, entry, until, epoch, version)
			SELECT key, entry::json, to_timestamp(until), epoch, version FROM given ORDER BY key
			ON CONFLICT (key) DO UPDATE
			SET entry = excluded.entry, until = excluded.until, epoch = excluded.epoch, version = excluded.version, changed_at = now()
			WHERE r.epoch <> excluded.epoch OR r.version <= excluded.version`;
	}

	/** @param isKept SQL: whether an epoch that is there stays. */
	#list(epoch: string, isKept: string): string {
		return `INSERT INTO ${this.#schema}.revocation_list AS l (epoch) ${epoch}
			ON CONFLICT (only_row) DO UPDATE SET epoch = excluded.epoch WHERE NOT ${isKept}`;
	}

	async #sweep(): Promise<void> {
		await this.#link.query(
			`DELETE FROM ${this.#schema}.revocation WHERE until <= now() OR (entry IS NULL AND changed_at < now() - interval '${removedKept}')`,
		);
	}

	async #counted(rows: number, write: () => Promise<unknown>): Promise<void> {
		try {
			await write();
			this.counts.written += rows;
		} catch (error) {
			this.counts.failed++;
			throw error;
		}
	}
}

function arraysOf(rows: readonly RevocationRow[]): readonly unknown[] {
	const last = new Map(rows.map((row) => [row.key, row]));
	const all = [...last.values()];
	return [
		all.map(({ key }) => key),
		all.map(({ entry }) => entry),
		// Beyond the times of PostgreSQL it is for ever.
		all.map(({ until }) => (until !== null && until > timeMax ? null : until)),
		all.map(({ epoch }) => epoch),
		all.map(({ version }) => String(version)),
	];
}
