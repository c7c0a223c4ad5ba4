import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, httpRequest, PostgresServer, postgresForTests, startCluster, waitFor } from "@shardcast/testkit";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const file = `
client: { insecure: true }
http_api: { key: a-key-of-the-api }
channel:
  namespaces:
    - { name: orders, durable: true, history_size: 5000, history_ttl: 10m }
`;

describe.skipIf(!postgresForTests())("a cluster whose PostgreSQL gives trouble", () => {
	let postgres: PostgresServer;
	let admin: Client;
	let directory: string;
	let schemas = 0;
	const clusters: Cluster[] = [];
	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), file);
		postgres = await PostgresServer.start();
		admin = await postgres.connect();
		await admin.query("CREATE ROLE app LOGIN PASSWORD 'app'");
	});
	afterAll(async () => {
		await Promise.all(clusters.map((cluster) => cluster.stop()));
		await admin?.end();
		await postgres?.stop();
		rmSync(directory, { recursive: true });
	});

	/** Of the role `app`, which owns the schema. */
	async function start(): Promise<{ readonly cluster: Cluster; readonly schema: string }> {
		const schema = `s${++schemas}`;
		await admin.query(`CREATE SCHEMA ${schema} AUTHORIZATION app`);
		const cluster = await startCluster({
			shards: 1,
			flags: ["--config", join(directory, "shardcast.yaml"), "--postgres-schema", schema],
			env: { SHARDCAST_POSTGRES_URL: `postgres://app:app@127.0.0.1:${postgres.port}/postgres` },
		});
		clusters.push(cluster);
		return { cluster, schema };
	}
	const until = (condition: () => boolean | Promise<boolean>, what: string) => waitFor(condition, { deadlineMs: 30_000, what });
	const headers = { "content-type": "application/json", "x-api-key": "a-key-of-the-api" };
	const publish = async ({ httpUrl }: Cluster, channel: string, data: unknown): Promise<number> =>
		(await httpRequest(`${httpUrl}/api/publish`, { method: "POST", headers, body: JSON.stringify({ channel, data }) })).status;

	it("health says so when only durable channels get no connection", async () => {
		const { cluster } = await start();
		await until(async () => (await publish(cluster, "orders:new", 1)) === 200, "a publication");
		expect((await cluster.health()).status).toBe("healthy");
		await admin.query("ALTER ROLE app CONNECTION LIMIT 2");
		// The outbox holds a lock, and blocked users have a name of their own.
		await admin.query(
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE usename = 'app' AND application_name LIKE '%:shard-0'
			AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory')`,
		);
		await until(async () => (await cluster.health()).status === "degraded", "a health that says so");
		expect((await cluster.health()).reasons.join()).toMatch(/durable channels: PostgreSQL can't be used.*too many connections for role/);
		expect(await publish(cluster, "orders:new", 2)).toBe(503);
		await admin.query("ALTER ROLE app CONNECTION LIMIT -1");
		await until(async () => (await cluster.health()).status === "healthy", "a healthy cluster");
		expect(await publish(cluster, "orders:new", 2)).toBe(200);
	});
});
