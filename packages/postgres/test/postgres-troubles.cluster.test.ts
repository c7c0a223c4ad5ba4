// @module-tag long
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durableSubscription } from "@shardcast/client";
import { type Cluster, httpRequest, MovableAddress, PostgresServer, postgresForTests, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

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
	const consumers: Centrifuge[] = [];
	const servers: PostgresServer[] = [];
	const addresses: MovableAddress[] = [];
	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), file);
		postgres = await PostgresServer.start();
		admin = await postgres.connect();
		await admin.query("CREATE ROLE app LOGIN PASSWORD 'app'");
	});
	afterAll(async () => {
		for (const client of consumers) client.disconnect();
		await Promise.all(clusters.map((cluster) => cluster.stop()));
		await Promise.all(addresses.map((address) => address.close()));
		await Promise.all(servers.map((server) => server.stop()));
		await admin?.end();
		await postgres?.stop();
		rmSync(directory, { recursive: true });
	});

	/** Of the role `app`, which owns the schema. */
	async function start(port = postgres.port, schema = `s${++schemas}`): Promise<{ readonly cluster: Cluster; readonly schema: string }> {
		await admin.query(`CREATE SCHEMA IF NOT EXISTS ${schema} AUTHORIZATION app`);
		const cluster = await startCluster({
			shards: 1,
			flags: ["--config", join(directory, "shardcast.yaml"), "--postgres-schema", schema],
			env: { SHARDCAST_POSTGRES_URL: `postgres://app:app@127.0.0.1:${port}/postgres` },
		});
		clusters.push(cluster);
		return { cluster, schema };
	}
	const until = (condition: () => boolean | Promise<boolean>, what: string) => waitFor(condition, { deadlineMs: 30_000, what });
	const headers = { "content-type": "application/json", "x-api-key": "a-key-of-the-api" };
	/** Safe to repeat. Without an answer in time, the status is 0. */
	const publish = ({ httpUrl }: Cluster, channel: string, data: number): Promise<number> => {
		const body = JSON.stringify({ channel, data, idempotency_key: `number ${data}` });
		return httpRequest(`${httpUrl}/api/publish`, { method: "POST", headers, body }).then(
			({ status }) => status,
			() => 0,
		);
	};

	it("health says so when only durable channels get no connection", async () => {
		const { cluster } = await start();
		await until(async () => (await publish(cluster, "orders:new", 1)) === 200, "a publication");
		expect((await cluster.health()).status).toBe("healthy");
		await admin.query("ALTER ROLE app CONNECTION LIMIT 2");
		// The outbox holds a lock, and the name of the session for blocked users ends in another way.
		await admin.query(
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE usename = 'app' AND application_name LIKE '%:shard-0'
			AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.pid = a.pid AND locktype = 'advisory')`,
		);
		const says = /durable channels: PostgreSQL can't be used.*too many connections for role/;
		await until(async () => says.test((await cluster.health()).reasons.join()), "a health that says so");
		expect((await cluster.health()).status).toBe("degraded");
		expect(await publish(cluster, "orders:new", 2)).toBe(503);
		await admin.query("ALTER ROLE app CONNECTION LIMIT -1");
		await until(async () => (await cluster.health()).status === "healthy", "a healthy cluster");
		expect(await publish(cluster, "orders:new", 2)).toBe(200);
	});

	it("a standby that lacks the last publications takes over: consumers get all that are published from then on, in order", async () => {
		const address = await MovableAddress.open(postgres.port);
		addresses.push(address);
		const { port } = address;
		const schema = `s${++schemas}`;
		const nodes = [(await start(port, schema)).cluster, (await start(port, schema)).cluster];
		const handled: number[][] = [[], []];
		const told: number[] = [];
		const subscriptions = nodes.map((node, index) => {
			const client = new Centrifuge(`${node.shardUrl(0)}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20 });
			consumers.push(client);
			const durable = durableSubscription<number>(client, "orders:new", {
				consumer: `c${index}`,
				retryMs: 200,
				acknowledgeMs: 10,
				onMessage: async ({ data }) => void handled[index]!.push(data),
			});
			client.connect();
			return durable.subscription.ready(20_000);
		});
		await Promise.all(subscriptions);
		const listener = new Centrifuge(`${nodes[0]!.shardUrl(0)}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20 });
		consumers.push(listener);
		const listening = listener.newSubscription("orders:new", { recoverable: true, minResubscribeDelay: 20 });
		let unrecovered = 0;
		listening.on("publication", ({ data }) => told.push(data as number));
		listening.on("subscribed", ({ wasRecovering, recovered }) => {
			if (wasRecovering && !recovered) unrecovered++;
		});
		listening.subscribe();
		listener.connect();
		await listening.ready(20_000);

		for (let n = 0; n < 10; n++) expect(await publish(nodes[n % 2]!, "orders:new", n)).toBe(200);
		const all = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => n + from);
		await until(() => [...handled, told].every(({ length }) => length === 10), "10 messages at each");
		const positions = async () =>
			(await admin.query(`SELECT "offset"::int AS at FROM ${schema}.durable_position`)).rows.map(({ at }) => at);
		await until(async () => (await positions()).join() === "11,11", "their acknowledgements");

		const standby = await postgres.lateStandby();
		servers.push(standby);
		for (let n = 10; n < 15; n++) expect(await publish(nodes[n % 2]!, "orders:new", n)).toBe(200);
		await until(() => [...handled, told].every(({ length }) => length === 15), "15 messages at each");

		await admin.end();
		await postgres.end();
		const other = await standby.connect();
		expect((await other.query("SELECT pg_promote() AS done")).rows).toEqual([{ done: true }]);
		await other.end();
		address.target = standby.port;
		admin = await standby.connect();
		for (let n = 15; n < 30; n++) await until(async () => (await publish(nodes[n % 2]!, "orders:new", n)) === 200, `publication ${n}`);
		await until(() => handled.every((each) => each.includes(29)), "the last one at the consumers");
		expect(handled, "each once, in order").toEqual([all(0, 30), all(0, 30)]);
		await until(() => told.includes(29), "the last one at the other subscriber");
		expect(
			told.toSorted((a, b) => a - b).filter((n, index, sorted) => sorted.indexOf(n) !== index),
			"doubles",
		).toEqual([]);
		expect([unrecovered, told.slice(15).every((n, index, rest) => index === 0 || n === rest[index - 1]! + 1)]).toEqual([1, true]);
	});
});
