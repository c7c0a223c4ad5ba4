import { readFileSync } from "node:fs";
import { parsePostgresAddress } from "@shardcast/config";
import { PostgresServer, postgresForTests } from "@shardcast/testkit";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Connection } from "../src/connection.ts";
import { migrate } from "../src/migrations.ts";

const page = readFileSync(new URL("../../../docs/how-to/publish-from-postgresql.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/^```sql[^\n]*\n(.*?)^```/gms)].map(([, statements]) => statements!);

describe.skipIf(!postgresForTests())("the guide of the outbox", () => {
	let server: PostgresServer;
	const sessions: pg.Client[] = [];
	beforeAll(async () => {
		server = await PostgresServer.start();
	});
	afterAll(async () => {
		await Promise.all(sessions.map((session) => session.end()));
		await server?.stop();
	});
	const urlOf = (user: string, password: string) => `postgres://${user}:${password}@127.0.0.1:${server.port}/postgres`;
	const login = async (user: string, password: string): Promise<pg.Client> => {
		const session = new pg.Client({ connectionString: urlOf(user, password) });
		sessions.push(session);
		await session.connect();
		return session;
	};
	const block = (start: string): string => {
		const found = blocks.filter((each) => each.startsWith(start));
		expect(found, `blocks that begin with ${start}`).toHaveLength(1);
		return found[0]!;
	};

	it("its statements work, each for the role that it names; the backend inserts rows and calls publish(), and neither reads nor deletes", async () => {
		const admin = await server.connect();
		sessions.push(admin);
		await admin.query(block("CREATE ROLE shardcast"));
		const address = parsePostgresAddress(urlOf("shardcast", "change-me"));
		const connection = await Connection.open({
			...{ address, schema: "shardcast", connectTimeoutMs: 20_000, answerTimeoutMs: 20_000, clientName: "test" },
		});
		await migrate(connection, "shardcast");
		connection.close();
		await admin.query(
			"CREATE ROLE backend LOGIN PASSWORD 'b'; CREATE TABLE account (id int, balance int); GRANT ALL ON account TO backend",
		);
		const owner = await login("shardcast", "change-me");
		expect(page.match(/^GRANT .* TO backend;$/gm)).toHaveLength(3);
		await owner.query(block("GRANT USAGE"));
		const backend = await login("backend", "b");
		await backend.query(block("BEGIN;"));
		await backend.query(block("SELECT shardcast.publish"));
		const rows = async () => (await owner.query("SELECT channel, data FROM shardcast.outbox ORDER BY id")).rows;
		const row = { channel: "account:7", data: { balance: 90 } };
		expect(await rows()).toEqual([row, row]);
		for (const forbidden of ["SELECT data FROM", "DELETE FROM"])
			await expect(backend.query(`${forbidden} shardcast.outbox`)).rejects.toThrow("permission denied for table outbox");
		await owner.query(`WITH dead AS (DELETE FROM shardcast.outbox RETURNING *)
			INSERT INTO shardcast.outbox_dead (id, channel, data, delta, skip_history, created_at, reason)
			SELECT id, channel, data, delta, skip_history, created_at, 'a test' FROM dead`);
		await owner.query(block("WITH fixed"));
		expect(await rows()).toEqual([row, row]);
	});
});
