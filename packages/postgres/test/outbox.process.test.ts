import { parsePostgresAddress } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { freePorts, PostgresServer, postgresForTests, waitFor } from "@shardcast/testkit";
import type { Client } from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Connection } from "../src/connection.ts";
import { Outbox, type OutboxRow, PostgresError, PostgresLink, type PostgresOptions, type RowResult } from "../src/index.ts";
import { migrate } from "../src/migrations.ts";
import { RevocationTable } from "../src/revocations/revocation-table.ts";

const taken: RowResult = { outcome: "published" };

/** A publish that waits until the test lets it go. */
class Gate {
	waiting = 0;
	#open: () => void = () => undefined;
	readonly #opened = new Promise<void>((resolve) => {
		this.#open = resolve;
	});
	readonly publish = async (): Promise<RowResult> => {
		this.waiting++;
		await this.#opened;
		return taken;
	};

	open(): void {
		this.#open();
	}
}

/** A reader of the outbox, and what it has published. */
class Reader {
	readonly got: string[] = [];
	readonly keys = new Map<string, number>();
	readonly outbox: Outbox;
	publish: (row: OutboxRow) => RowResult | Promise<RowResult> = () => taken;

	constructor(options: PostgresOptions, pollMs = 100, selectLimit = 10) {
		this.outbox = new Outbox({
			options,
			selectLimit,
			pollMs,
			rowBytesMax: 1000,
			mayRead: () => true,
			publish: async (row) => {
				const result = await this.publish(row);
				if (result.outcome === "published") {
					this.got.push(`${row.channel} ${row.data ?? row.bytes?.toString()}`);
					this.keys.set(row.idempotencyKey, (this.keys.get(row.idempotencyKey) ?? 0) + 1);
				}
				return result;
			},
			log: silentLog(),
			nowMs: () => performance.now(),
		});
		this.outbox.start();
	}
}

describe.skipIf(!postgresForTests())("PostgreSQL", () => {
	let server: PostgresServer;
	let client: Client;
	let schemas = 0;
	const readers: Reader[] = [];
	beforeAll(async () => {
		server = await PostgresServer.start();
		client = await server.connect();
	});
	afterEach(() => {
		for (const { outbox } of readers.splice(0)) outbox.stop();
	});
	afterAll(async () => {
		await client?.end();
		await server?.stop();
	});

	const optionsOf = (url = server.url, schema = `s${++schemas}`): PostgresOptions => ({
		address: parsePostgresAddress(url),
		schema,
		connectTimeoutMs: 5000,
		answerTimeoutMs: 5000,
		clientName: "test",
	});
	const read = (options: PostgresOptions, pollMs?: number, selectLimit?: number): Reader => {
		const reader = new Reader(options, pollMs, selectLimit);
		readers.push(reader);
		return reader;
	};
	const until = (condition: () => boolean | Promise<boolean>, what: string) => waitFor(condition, { deadlineMs: 20_000, what });
	const prepared = async (): Promise<PostgresOptions> => {
		const options = optionsOf();
		const connection = await Connection.open(options);
		await migrate(connection, options.schema);
		connection.close();
		return options;
	};
	const count = async (table: string) => Number((await client.query(`SELECT count(*) FROM ${table}`)).rows[0].count);
	const insert = (schema: string, channel: string, ...values: readonly number[]) =>
		client.query(`INSERT INTO ${schema}.outbox (channel, data) SELECT $1, to_json(n) FROM unnest($2::int[]) AS n`, [channel, values]);
	const emptied = (schema: string) => until(async () => (await count(`${schema}.outbox`)) === 0, "an empty outbox");
	const isReader = ({ outbox }: Reader) => until(() => outbox.counts.isReader, "a reader");
	/** A reader of a schema with all tables. */
	const reading = async (more: Partial<PostgresOptions> = {}, pollMs?: number) => {
		const options = await prepared();
		const { schema } = options;
		return { schema, options, reader: read({ ...options, clientName: `${schema}-reader`, ...more }, pollMs) };
	};
	/** A row that the reader has begun to publish, and finishes when the gate is opened. */
	const underWay = async (reader: Reader, schema: string): Promise<Gate> => {
		const gate = new Gate();
		reader.publish = gate.publish;
		await insert(schema, "a", 1);
		await until(() => gate.waiting === 1, "the row under way");
		return gate;
	};
	const cut = (schema: string) =>
		client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [`${schema}-reader`]);
	const problemOf = async (options: PostgresOptions): Promise<PostgresError> => {
		const opened = await Connection.open(options).catch((error: unknown) => error);
		expect(opened, "it should have failed").toBeInstanceOf(PostgresError);
		return opened as PostgresError;
	};

	it("says why it cannot be used, without the password", async () => {
		const gone = await problemOf(optionsOf(`postgres://app:hidden@127.0.0.1:${await freePorts()}/app`));
		expect([gone.kind, gone.message]).toEqual([
			"unavailable",
			expect.stringMatching(/^PostgreSQL at postgres:\/\/127\S+ is not reached: .*ECONNREFUSED/),
		]);
		const wrong = await problemOf(optionsOf(`postgres://postgres:hidden@127.0.0.1:${server.port}/postgres`));
		expect([wrong.kind, wrong.message]).toEqual([
			"login",
			expect.stringContaining('refuses the login: password authentication failed for user "postgres"'),
		]);
		const none = await problemOf(optionsOf(`postgres://postgres@127.0.0.1:${server.port}/postgres`));
		expect([none.kind, none.message]).toEqual(["login", expect.stringContaining("wants a password")]);
		const missing = await problemOf(optionsOf(server.url.replace(/postgres$/, "nowhere")));
		expect([missing.kind, missing.message]).toEqual(["login", expect.stringContaining('database "nowhere" does not exist')]);
		const plain = await problemOf(optionsOf(`${server.url}?sslmode=require`));
		expect([plain.kind, plain.message]).toEqual(["unsuitable", expect.stringContaining("does not accept TLS")]);
		for (const { message } of [gone, wrong, none, missing, plain]) expect(message).not.toContain("hidden");
	});

	it.each([
		["a full disk", "53100", "busy"],
		["a time limit", "57014", "busy"],
		["a deadlock", "40P01", "busy"],
		["a mistake", "22012", "refused"],
	])("keeps its connection after %s", async (_what, code, kind) => {
		const connection = await Connection.open(optionsOf());
		const fails = connection.query(`DO $$ BEGIN RAISE EXCEPTION 'no luck' USING ERRCODE = '${code}'; END $$`);
		await expect(fails).rejects.toMatchObject({ kind, message: expect.stringContaining("no luck") });
		expect(await connection.query("SELECT 1 AS one")).toEqual([{ one: 1 }]);
		connection.close();
	});

	it("creates its tables once, while several nodes start", async () => {
		const options = optionsOf();
		const connections = await Promise.all([1, 2, 3, 4].map(() => Connection.open(options)));
		await Promise.all(connections.map((connection) => migrate(connection, options.schema)));
		for (const connection of connections) connection.close();
		expect(await count(`${options.schema}.installation`), "one installation").toBe(1);
		const { rows } = await client.query(`SELECT count(*)::int AS steps, max(version) AS last FROM ${options.schema}.migrations`);
		expect(rows[0].steps, "one row for each step").toBe(rows[0].last);
	});

	it("refuses tables of a newer version, and names a right that is missing", async () => {
		const options = await prepared();
		await client.query(`INSERT INTO ${options.schema}.migrations (version) VALUES (99)`);
		const connection = await Connection.open(options);
		await expect(migrate(connection, options.schema)).rejects.toThrow(
			/tables in schema s\d+ have version 99, and this shardcast knows \d+; start the newer/,
		);
		connection.close();
		await client.query("CREATE ROLE app LOGIN PASSWORD 'app'");
		const weak = await Connection.open(optionsOf(`postgres://app:app@127.0.0.1:${server.port}/postgres`));
		await expect(migrate(weak, "nobodys")).rejects.toMatchObject({
			kind: "unsuitable",
			message: expect.stringContaining("permission denied for database"),
		});
		weak.close();
	});

	it("pauses longer and longer when the tables cannot be used, although PostgreSQL can be reached", async () => {
		const newer = await prepared();
		await client.query(`INSERT INTO ${newer.schema}.migrations (version) VALUES (99)`);
		const unreadable = await prepared();
		await client.query(`ALTER TABLE ${unreadable.schema}.outbox RENAME TO away`);
		const beganMs = performance.now();
		const link = new PostgresLink({ options: newer, user: "a test", log: silentLog() });
		link.start();
		const outboxes = [newer, unreadable].map((options) => read(options).outbox);
		const lost = () => [link.lost, ...outboxes.map(({ counts }) => counts.lost)];
		const tookMs: number[] = [];
		await until(() => {
			for (const [index, count] of lost().entries()) if (count >= 5) tookMs[index] ??= performance.now() - beganMs;
			return lost().every((count) => count >= 5);
		}, "five attempts of each");
		link.stop();
		// Half of 100, 200, 400 and 800 ms.
		for (const ms of tookMs) expect(ms, `of ${tookMs.map(Math.round).join(", ")} ms`).toBeGreaterThanOrEqual(749);
	});

	it("publishes what was committed, in order, and nothing that was rolled back", async () => {
		const { schema, reader } = await reading();
		const { got, outbox } = reader;
		await insert(schema, "a", 1, 2, 3);
		await client.query(`BEGIN; INSERT INTO ${schema}.outbox (channel, data) VALUES ('a', '0'); ROLLBACK`);
		await insert(schema, "a", ...Array.from({ length: 30 }, (_, index) => index + 4));
		await client.query(`INSERT INTO ${schema}.outbox (channel, bytes) VALUES ('b', 'bytes')`);
		await until(() => got.length >= 34, "34 rows");
		expect(got.filter((row) => row.startsWith("a"))).toEqual(Array.from({ length: 33 }, (_, index) => `a ${index + 1}`));
		expect(got).toContain("b bytes");
		await emptied(schema);
		expect(outbox.counts).toMatchObject({ published: 34, duplicate: 0, dead: 0 });
	});

	it("is woken by a commit, and does not wait for its poll", async () => {
		const { schema, reader } = await reading({}, 10_000);
		const { got } = reader;
		await isReader(reader);
		// Only for the age of the oldest row it looks every second.
		const tookMs: number[] = [];
		for (let n = 1; n <= 11; n++) {
			const beganMs = performance.now();
			await insert(schema, "a", n);
			await until(() => got.length === n, `row ${n}`);
			tookMs.push(performance.now() - beganMs);
		}
		const median = tookMs.toSorted((a, b) => a - b)[5]!;
		expect(median, `half of ${tookMs.map(Math.round).join(", ")} ms are below`).toBeLessThan(500);
	});

	it("finds a row that is committed after later ones were published", async () => {
		const { schema, reader } = await reading();
		const { got } = reader;
		const late = await server.connect();
		await late.query(`BEGIN; INSERT INTO ${schema}.outbox (channel, data) VALUES ('a', '1')`);
		await insert(schema, "a", 2);
		await until(() => got.length === 1, "the second row");
		await late.query("COMMIT");
		await late.end();
		await until(() => got.length === 2, "the first row");
		expect(got).toEqual(["a 2", "a 1"]);
	});

	it("publish() keeps the order of commits: another transaction with the channel waits, one with another channel does not", async () => {
		const { schema } = await prepared();
		const other = await server.connect();
		const third = await server.connect();
		await client.query(`BEGIN; SELECT ${schema}.publish('a', '1')`);
		let isDone = false;
		const second = other.query(`SELECT ${schema}.publish('a', '2', idempotency_key => 'k', tags => '{"t": "v"}')`).then(() => {
			isDone = true;
		});
		await third.query(`SELECT ${schema}.publish('b', '3')`);
		expect(isDone, "the same channel has to wait").toBe(false);
		await client.query("COMMIT");
		await second;
		await Promise.all([other.end(), third.end()]);
		const { rows } = await client.query(`SELECT data FROM ${schema}.outbox WHERE channel = 'a' ORDER BY id`);
		expect(rows.map(({ data }) => data)).toEqual([1, 2]);
	});

	it("moves rows that can never be published aside, with the reason, and goes on", async () => {
		const { schema, reader } = await reading();
		reader.publish = ({ data, channel }) => {
			if (data === "13") return { outcome: "dead", reason: "bad luck" };
			return channel === "slow" ? { outcome: "later", reason: "failed", triesMax: 3 } : taken;
		};
		await client.query(
			`INSERT INTO ${schema}.outbox (channel, data) VALUES ('a', '1'), ('a', '13'), ('slow', '5'), ('a', to_json(repeat('x', 2000)))`,
		);
		await insert(schema, "a", 2);
		await emptied(schema);
		expect(reader.got).toEqual(["a 1", "a 2"]);
		const { rows } = await client.query(`SELECT channel, reason FROM ${schema}.outbox_dead ORDER BY id`);
		expect(rows).toEqual([
			{ channel: "a", reason: "bad luck" },
			{ channel: "slow", reason: "failed, 3 times" },
			{ channel: "a", reason: "the row is 2002 bytes; the most is 1000" },
		]);
		expect(reader.outbox.counts.dead).toBe(3);
	});

	it("a channel that has no room holds up itself alone, and loses nothing", async () => {
		const { schema, reader } = await reading();
		let isFull = true;
		reader.publish = ({ channel }) => (channel === "full" && isFull ? { outcome: "later", reason: "no room" } : taken);
		// More than are read at once.
		await insert(schema, "full", ...Array.from({ length: 25 }, (_, index) => index));
		await insert(schema, "free", 1, 2);
		await until(() => reader.got.length === 2, "the rows of the other channel");
		expect(reader.got).toEqual(["free 1", "free 2"]);
		await until(() => reader.outbox.counts.ageMs > 0 && reader.outbox.counts.waitingChannels === 1, "an age, and a waiting channel");
		isFull = false;
		await until(() => reader.got.length === 27, "the rows that had to wait");
		expect(reader.got.slice(2)).toEqual(Array.from({ length: 25 }, (_, index) => `full ${index}`));
	});

	it("channels whose rows somebody has deleted wait no longer, and the table is not read all the time", async () => {
		const { schema, reader } = await reading();
		reader.publish = () => ({ outcome: "later", reason: "no room" });
		await insert(schema, "full", 1);
		await until(() => reader.outbox.counts.waitingChannels === 1, "a waiting channel");
		await client.query(`DELETE FROM ${schema}.outbox`);
		await until(() => reader.outbox.counts.waitingChannels === 0, "no waiting channel");
	});

	it("remembers about 1,000 channels that have no room, whatever the number of them, and publishes all when there is room", async () => {
		const options = await prepared();
		const { schema } = options;
		await client.query(`INSERT INTO ${schema}.outbox (channel, data) SELECT 'c' || n, to_json(n) FROM generate_series(1, 4000) AS n`);
		const reader = read(options, 100, 500);
		let isFull = true;
		let tries = 0;
		let most = 0;
		reader.publish = () => {
			most = Math.max(most, reader.outbox.counts.waitingChannels);
			tries++;
			return isFull ? { outcome: "later", reason: "no room" } : taken;
		};
		await until(() => tries > 6000, "more tries than channels");
		expect(most, "channels that wait: 1,000, and the rows of one read").toBeLessThanOrEqual(1500);
		expect(most).toBeGreaterThanOrEqual(1000);
		isFull = false;
		await emptied(schema);
		expect(reader.got).toHaveLength(4000);
	});

	it("a row with an infinite time does not hold up the others", async () => {
		const { schema, reader } = await reading();
		const { got } = reader;
		await client.query(`INSERT INTO ${schema}.outbox (channel, data, created_at) VALUES ('a', '1', 'infinity'), ('a', '2', '-infinity')`);
		await emptied(schema);
		expect(got).toEqual(["a 1", "a 2"]);
	});

	it("keeps a row that cannot be published beside an earlier one with the same id, after TRUNCATE ... RESTART IDENTITY", async () => {
		const { schema, reader } = await reading();
		reader.publish = ({ data }) => ({ outcome: "dead", reason: `no ${data}` });
		await insert(schema, "a", 1);
		await until(async () => (await count(`${schema}.outbox_dead`)) === 1, "the first dead row");
		await client.query(`TRUNCATE ${schema}.outbox RESTART IDENTITY`);
		await insert(schema, "a", 2);
		await emptied(schema);
		const { rows } = await client.query(`SELECT id::int, reason FROM ${schema}.outbox_dead ORDER BY dead_id`);
		expect(rows).toEqual([
			{ id: 1, reason: "no 1" },
			{ id: 1, reason: "no 2" },
		]);
	});

	it("takes a reserved word as schema", async () => {
		const options = optionsOf(server.url, "select");
		const { got } = read(options);
		await until(
			async () => (await client.query("SELECT to_regclass('\"select\".outbox') IS NOT NULL AS exists")).rows[0].exists,
			"the table",
		);
		await client.query(`SELECT "select".publish('a', '1')`);
		await until(() => got.length === 1, "the row");
	});

	it("keeps its session while a handler takes longer than a session may be idle", async () => {
		const { schema, reader } = await reading();
		const gate = await underWay(reader, schema);
		const session = async () =>
			(await client.query("SELECT query FROM pg_stat_activity WHERE application_name = $1", [`${schema}-reader`])).rows[0]?.query;
		await until(async () => (await session()) === "SELECT 1", "a sign of life");
		gate.open();
		await emptied(schema);
	});

	it.each([
		["reads", "ACCESS EXCLUSIVE", 60_000],
		["deletes", "SHARE", 1500],
	])("drains in time when PostgreSQL does not answer while it %s", async (_what, mode, answerTimeoutMs) => {
		const { schema, reader } = await reading({ answerTimeoutMs });
		const { got, outbox } = reader;
		await isReader(reader);
		const [writer, holder] = await Promise.all([server.connect(), server.connect()]);
		const waits = async (column: "application_name" | "pid", value: unknown) => {
			const sql = `SELECT 1 FROM pg_stat_activity WHERE ${column} = $1 AND wait_event_type = 'Lock'`;
			return (await client.query(sql, [value])).rowCount === 1;
		};
		await writer.query(`BEGIN; INSERT INTO ${schema}.outbox (channel, data) VALUES ('a', '1')`);
		// Its turn comes at the COMMIT, before the reader has seen the row: it could delete it between a COMMIT and a LOCK after it.
		const pid = (await holder.query("SELECT pg_backend_pid() AS pid")).rows[0].pid;
		const locked = holder.query(`BEGIN; LOCK TABLE ${schema}.outbox IN ${mode} MODE`);
		await until(() => waits("pid", pid), "a lock that waits for the row");
		await writer.query("COMMIT");
		await locked;
		if (mode === "SHARE") await until(() => got.length === 1, "the row");
		await until(() => waits("application_name", `${schema}-reader`), "a reader that waits for PostgreSQL");
		const beganMs = performance.now();
		await outbox.drain();
		expect(performance.now() - beganMs, "milliseconds").toBeLessThan(15_000);
		await holder.query("ROLLBACK");
		await Promise.all([writer.end(), holder.end()]);
	});

	it("a row that has the id of one that was published is published too: a standby without the last rows has taken over", async () => {
		const { schema, reader } = await reading();
		const gate = await underWay(reader, schema);
		await cut(schema);
		await client.query(`DELETE FROM ${schema}.outbox; ALTER TABLE ${schema}.outbox ALTER COLUMN id RESTART WITH 1`);
		await insert(schema, "a", 2);
		expect((await client.query(`SELECT id::int FROM ${schema}.outbox`)).rows, "the id of the first row").toEqual([{ id: 1 }]);
		gate.open();
		await emptied(schema);
		expect(reader.got).toEqual(["a 1", "a 2"]);
	});

	it("has one reader; another one takes over when its session ends, with the same keys", async () => {
		const { schema, options, reader: first } = await reading();
		await isReader(first);
		const second = read(options);
		const gate = await underWay(first, schema);
		expect(second.outbox.counts.isReader, "there is one reader").toBe(false);
		await cut(schema);
		await until(() => second.got.length === 1, "the row, published by the second reader");
		gate.open();
		await until(() => first.got.length === 1, "the row, published by the first reader too");
		await insert(schema, "a", 2);
		await until(() => second.got.length === 2, "the next row, from the second reader");
		expect(first.got).toEqual(["a 1"]);
		expect(second.got).toEqual(["a 1", "a 2"]);
		expect([...first.keys.keys()], "each row has one key, whoever publishes it").toEqual([...second.keys.keys()].slice(0, 1));
		expect(first.outbox.counts.lost).toBeGreaterThan(0);
	});

	it("publishes nothing twice by itself, however long PostgreSQL is away before it could delete a row", async () => {
		const { schema, reader } = await reading();
		const gate = await underWay(reader, schema);
		await client.end();
		await server.end();
		gate.open();
		await until(() => reader.got.length === 1, "the row");
		reader.publish = () => taken;
		await server.start();
		client = await server.connect();
		await emptied(schema);
		expect(reader.got).toEqual(["a 1"]);
	});

	it("keeps blocked users: of each entry the last version, until it expires or the whole list is replaced", async () => {
		const options = optionsOf();
		const table = new RevocationTable({ options, log: silentLog() });
		await new Promise<void>((resolve) => table.start(resolve));
		const row = (id: string, version: number, until: number | null = null) => ({
			...{ key: JSON.stringify(id), entry: JSON.stringify({ kind: "user", id }), until, epoch: "e", version },
		});
		const stored = async () => {
			const { epoch, entries } = await table.load();
			return [epoch, entries.map((entry) => (JSON.parse(entry) as { id: string }).id).toSorted()];
		};
		expect(await stored()).toEqual([null, []]);
		await table.write([row("ann", 1), row("bob", 2, 4e9), row("old", 3, 1), row("ever", 4, 1e300), row("\0", 5)], true);
		expect(await stored()).toEqual(["e", ["\0", "ann", "bob", "ever"]]);
		await table.write([{ ...row("ann", 0), entry: null }], true);
		await table.write([{ ...row("bob", 6), entry: null }], true);
		expect(await stored(), "an older change is ignored").toEqual(["e", ["\0", "ann", "ever"]]);
		await table.write([row("cat", 6)], false);
		expect(await stored(), "a copy of no list").toEqual(["", ["\0", "ann", "cat", "ever"]]);
		await table.replace([{ ...row("dan", 2), epoch: "f" }], "f", 2);
		await table.write([{ ...row("ann", 1), epoch: "f" }], true);
		expect(await stored(), "ann was removed later").toEqual(["f", ["dan"]]);
		await table.write([{ ...row("eve", 9), epoch: "f" }], true);
		await table.replace([{ ...row("dan", 2), epoch: "f" }], "f", 3);
		expect(await stored(), "eve was added later than this list was read").toEqual(["f", ["dan", "eve"]]);
		await table.write(
			[10, 11].map((version) => ({ ...row("eve", version), entry: version === 11 ? null : row("eve", 0).entry, epoch: "f" })),
			true,
		);
		expect(await stored(), "the last of two changes in one write").toEqual(["f", ["dan"]]);
		await client.query(`UPDATE ${options.schema}.revocation SET changed_at = changed_at - interval '2 days' WHERE entry IS NULL`);
		await table.load();
		const { rows } = await client.query(`SELECT count(*)::int AS removed FROM ${options.schema}.revocation WHERE entry IS NULL`);
		expect(rows, "what was removed long ago is forgotten").toEqual([{ removed: 0 }]);
		expect(table.reading()).toEqual({ isConnected: true, lost: 0, written: 14, failed: 0 });
		table.stop();
		await expect(table.load()).rejects.toThrow();
	});

	it("uses TLS, and checks the certificate with sslmode=verify-full", async () => {
		const authority = await server.acceptTls();
		const session = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
		for (const parameters of ["sslmode=require", `sslmode=verify-full&sslrootcert=${authority}`]) {
			const connection = await Connection.open(optionsOf(`${server.url}?${parameters}`));
			expect(await connection.query(session), parameters).toEqual([{ ssl: true }]);
			connection.close();
		}
		const unknown = await problemOf(optionsOf(`${server.url}?sslmode=verify-full`));
		expect([unknown.kind, unknown.message]).toEqual(["unavailable", expect.stringContaining("self-signed certificate")]);
		const otherName = server.url.replace("127.0.0.1", "localhost");
		const wrong = await problemOf(optionsOf(`${otherName}?sslmode=verify-full&sslrootcert=${authority}`));
		expect(wrong.message).toMatch(/localhost/);
	});
});
