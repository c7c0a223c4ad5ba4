import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { durableSubscription } from "@shardcast/client";
import {
	type Cluster,
	httpRequest,
	PostgresServer,
	postgresForTests,
	RedisServer,
	redisForTests,
	Scrape,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import type { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { dashboards } from "../../../deploy/grafana/dashboards.mjs";
import { metricsOf, queries } from "../../../deploy/test/metric-names.ts";

const file = `
client: { insecure: true, recovery_max_publication_limit: 5000 }
http_api: { key: a-key-of-the-api }
channel:
  namespaces:
    - { name: orders, durable: true, history_size: 5000, history_ttl: 10m }
    - { name: news, history_size: 5000, history_ttl: 10m, force_recovery: true, force_positioning: true }
`;

interface Message {
	readonly writer: number;
	readonly n: number;
}

/** What one subscriber got, over all its connections. */
class Listener {
	readonly client: Centrifuge;
	readonly got: Message[] = [];
	unrecovered = 0;
	readonly ready: Promise<void>;

	constructor(url: string, channel: string) {
		this.client = new Centrifuge(`${url}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20, maxReconnectDelay: 200 });
		const subscription = this.client.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: 200 });
		subscription.on("publication", ({ data }) => this.got.push(data as Message));
		subscription.on("subscribed", ({ wasRecovering, recovered }) => {
			if (wasRecovering && !recovered) this.unrecovered++;
		});
		subscription.subscribe();
		this.client.connect();
		this.ready = subscription.ready(20_000);
	}
}

describe.skipIf(!postgresForTests() || !redisForTests())("the outbox", () => {
	let postgres: PostgresServer;
	let redis: RedisServer;
	let admin: Client;
	let directory: string;
	let schemas = 0;
	const clusters: Cluster[] = [];
	const listeners: Listener[] = [];
	const consumers: Centrifuge[] = [];
	const sessions: Client[] = [];
	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), file);
		[postgres, redis] = await Promise.all([PostgresServer.start(), RedisServer.start()]);
		admin = await connect();
	});
	afterAll(async () => {
		for (const { client } of listeners) client.disconnect();
		for (const client of consumers) client.disconnect();
		await Promise.all(clusters.map((cluster) => cluster.stop()));
		await Promise.all(sessions.map((session) => session.end().catch(() => undefined)));
		await postgres?.stop();
		await redis?.stop();
		rmSync(directory, { recursive: true });
	});

	async function connect(): Promise<Client> {
		const session = await postgres.connect();
		sessions.push(session);
		return session;
	}

	async function start(
		schema: string,
		shards: number,
		flags: readonly string[] = [],
		env: Readonly<Record<string, string>> = {},
	): Promise<Cluster> {
		const cluster = await startCluster({
			shards,
			flags: ["--config", join(directory, "shardcast.yaml"), "--postgres-schema", schema, ...flags],
			env: { SHARDCAST_POSTGRES_URL: postgres.url, ...env },
		});
		clusters.push(cluster);
		return cluster;
	}

	async function listen(urls: readonly string[], channel: string): Promise<Listener[]> {
		const all = urls.map((url) => new Listener(url, channel));
		listeners.push(...all);
		await Promise.all(all.map(({ ready }) => ready));
		return all;
	}

	const until = (condition: () => boolean | Promise<boolean>, what: string) => waitFor(condition, { deadlineMs: 30_000, what });

	/** The session of the process that publishes the outbox, such as "4711 shardcast:n1:shard-0". */
	async function reader(schema: string): Promise<string | undefined> {
		const { rows } = await admin.query(
			`SELECT pid || ' ' || application_name AS name FROM pg_stat_activity JOIN pg_locks USING (pid), hashtextextended($1, 0) AS key
			WHERE locktype = 'advisory' AND granted AND classid = (key >> 32) & 4294967295 AND objid = key & 4294967295`,
			[`shardcast outbox ${schema}`],
		);
		return rows[0]?.name as string | undefined;
	}

	const waiting = async (schema: string) => Number((await admin.query(`SELECT count(*) FROM ${schema}.outbox`)).rows[0].count);

	/** Concurrent transactions, a third of which is rolled back. Returns for each channel what was committed, in the order of the ids. */
	async function write(
		schema: string,
		channels: readonly string[],
		writers: number,
		transactions: number,
	): Promise<ReadonlyMap<string, Message[]>> {
		const committed: { readonly id: number; readonly channel: string; readonly message: Message }[] = [];
		await Promise.all(
			Array.from({ length: writers }, async (_, writer) => {
				const session = await connect();
				for (let n = 0; n < transactions; n++) {
					const channel = channels[(writer + n) % channels.length]!;
					const rows: typeof committed = [];
					await session.query("BEGIN");
					for (const part of [0, 1]) {
						const message = { writer, n: 2 * n + part };
						const { rows: ids } = await session.query(`SELECT ${schema}.publish($1, $2::json)::int AS id`, [
							channel,
							JSON.stringify(message),
						]);
						rows.push({ id: ids[0].id as number, channel, message });
					}
					const isKept = (writer + n) % 3 !== 0;
					await session.query(isKept ? "COMMIT" : "ROLLBACK");
					if (isKept) committed.push(...rows);
				}
			}),
		);
		committed.sort((a, b) => a.id - b.id);
		return new Map(channels.map((channel) => [channel, committed.flatMap((row) => (row.channel === channel ? [row.message] : []))]));
	}

	async function allGot(all: readonly Listener[], expected: readonly Message[]): Promise<void> {
		await waitFor(
			() => {
				const short = all.flatMap(({ got, client }, index) =>
					got.length >= expected.length ? [] : [`${index} (${client.state}) has ${got.length}`],
				);
				if (short.length > 0) throw new Error(`of ${expected.length} rows, subscriber ${short.join(", ")}`);
				return true;
			},
			{ deadlineMs: 30_000, what: `${expected.length} rows at ${all.length} subscribers` },
		);
		for (const { got, unrecovered } of all) {
			expect(got, "each committed row once, in the order of the commits").toEqual(expected);
			expect(unrecovered, "subscribers that lost their place").toBe(0);
		}
	}

	it("one machine: every committed row once and in order, while the publishing shard is killed between publishing and deleting", {
		tags: ["long"],
	}, async () => {
		const schema = `s${++schemas}`;
		const cluster = await start(schema, 2);
		const urls = [0, 1].map((shard) => cluster.shardUrl(shard));
		const channels = ["news:a", "news:b", "plain"];
		const all = new Map<string, Listener[]>();
		for (const channel of channels) all.set(channel, await listen(channel === "plain" ? [urls[1]!] : urls, channel));
		await until(async () => (await reader(schema)) !== undefined, "a shard that publishes the outbox");

		// From now on deletes wait for the test.
		await admin.query(`
			CREATE FUNCTION ${schema}.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NULL; END $$;
			CREATE TRIGGER hold BEFORE DELETE ON ${schema}.outbox FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.hold();
			SELECT pg_advisory_lock(42)`);
		const first = await reader(schema);
		expect(first).toMatch(/:shard-0$/);
		const expected = await write(schema, channels, 4, 12);
		await until(() => [...all.values()].flat().some(({ got }) => got.length > 0), "the first rows at a subscriber");
		expect(await waiting(schema), "rows, of which some were published and none deleted").toBe([...expected.values()].flat().length);
		await cluster.kill9(0);
		await until(async () => ![undefined, first].includes(await reader(schema)), "another process that publishes the outbox");
		await admin.query("SELECT pg_advisory_unlock(42)");
		for (const channel of channels) await allGot(all.get(channel)!, expected.get(channel)!);
		await until(async () => (await waiting(schema)) === 0, "an empty outbox");
		const metrics = await Scrape.of(cluster.httpUrl);
		const shown = [...queries(dashboards).values()].flatMap(metricsOf).filter((name) => name.startsWith("shardcast_outbox_"));
		expect(shown.length, "metrics of the outbox on dashboards").toBeGreaterThan(4);
		expect(
			shown.filter((name) => !metrics.names().includes(name)),
			"metrics on dashboards that are not exported",
		).toEqual([]);
		expect(
			metrics.sum("shardcast_outbox_rows_total", { result: "duplicate" }),
			"rows that the second process found published",
		).toBeGreaterThan(0);
	});

	it("two machines on Redis: every committed row once and in order, while the publishing machine is killed", async () => {
		const schema = `s${++schemas}`;
		const nodes = await Promise.all(
			["n1", "n2"].map((id) => start(schema, 1, ["--node-id", id, "--redis-timeout", "3s"], { REDIS_URL: redis.url })),
		);
		await until(async () => (await reader(schema)) !== undefined, "a node that publishes the outbox");
		const name = (await reader(schema))!;
		const victim = Number(name.includes(":n2:"));
		const survivor = nodes[1 - victim]!;
		const channels = ["news:a", "news:b"];
		const all = new Map<string, Listener[]>();
		for (const channel of channels) all.set(channel, await listen([survivor.shardUrl(0)], channel));
		const seen = all.get("news:a")![0]!;
		const writing = write(schema, channels, 4, 60);
		await until(() => seen.got.length > 10, "some rows at the other machine");
		const beganMs = performance.now();
		await nodes[victim]!.kill9("supervisor");
		await until(async () => ![undefined, name].includes(await reader(schema)), "the other node as publisher");
		const tookMs = performance.now() - beganMs;
		// What a killed machine leaves.
		for (const folder of nodes[victim]!.sharedDirectories()) rmSync(folder, { recursive: true });
		const expected = await writing;
		for (const channel of channels) await allGot(all.get(channel)!, expected.get(channel)!);
		await until(async () => (await waiting(schema)) === 0, "an empty outbox");
		expect(tookMs, "milliseconds until the other node publishes").toBeLessThan(10_000);
	});

	it("a machine that hangs for longer than its session of PostgreSQL: another one takes over, and nothing is published twice", {
		tags: ["long"],
	}, async () => {
		const schema = `s${++schemas}`;
		const nodes = await Promise.all(
			["h1", "h2"].map((id) => start(schema, 1, ["--node-id", id, "--redis-prefix", "hang"], { REDIS_URL: redis.url })),
		);
		await until(async () => (await reader(schema)) !== undefined, "a node that publishes the outbox");
		const name = (await reader(schema))!;
		const hung = nodes[Number(name.includes(":h2:"))]!;
		const other = nodes.find((node) => node !== hung)!;
		const [seen] = await listen([other.shardUrl(0)], "news:hang");
		const insert = (n: number) =>
			admin.query(`INSERT INTO ${schema}.outbox (channel, data) VALUES ('news:hang', $1)`, [JSON.stringify({ writer: 0, n })]);
		// Its deletes wait, so it hangs between publishing and deleting.
		const writer = await connect();
		await writer.query(`
			CREATE FUNCTION ${schema}.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(43); RETURN NULL; END $$;
			CREATE TRIGGER hold BEFORE DELETE ON ${schema}.outbox FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.hold();
			SELECT pg_advisory_lock(43)`);
		await insert(1);
		await until(() => seen!.got.length === 1, "the first row");
		const pids = [...(await hung.pids()).values()];
		for (const pid of pids) process.kill(pid, "SIGSTOP");
		try {
			await writer.query("SELECT pg_advisory_unlock(43)");
			await insert(2);
			await until(async () => ![undefined, name].includes(await reader(schema)), "the other node as publisher");
			await until(() => seen!.got.length >= 2, "the second row");
		} finally {
			for (const pid of pids) process.kill(pid, "SIGCONT");
		}
		await insert(3);
		await until(() => seen!.got.length >= 3, "the third row");
		await until(async () => (await waiting(schema)) === 0, "an empty outbox");
		expect(
			seen!.got.map(({ n }) => n),
			"each row once",
		).toEqual([1, 2, 3]);
	});

	it("durable channels and blocked users are on every machine: one is killed, PostgreSQL stops and starts again", {
		tags: ["long"],
	}, async () => {
		const schema = `s${++schemas}`;
		const first = await start(schema, 1);
		expect(await api(first, "block_user", { user: "eve" })).toEqual({ status: 200, body: {} });
		const second = await start(schema, 2);
		const blocked = async () => (await Scrape.of(second.httpUrl)).sum("shardcast_revocations", { kind: "user" });
		await until(async () => (await blocked()) === 2, "the blocked user on both shards of the second machine");

		const publish = async (n: number): Promise<number> => (await api(second, "publish", { channel: "orders:new", data: n })).status;
		const consume = (cluster: Cluster, isHandled: (n: number) => boolean) => {
			const client = new Centrifuge(`${cluster.shardUrl(0)}/connection/websocket`, { websocket: WebSocket, minReconnectDelay: 20 });
			consumers.push(client);
			const got: number[] = [];
			const durable = durableSubscription<number>(client, "orders:new", {
				consumer: "billing",
				retryMs: 200,
				acknowledgeMs: 10,
				onMessage: async ({ data }) => {
					if (!isHandled(data)) throw new Error("not now");
					got.push(data);
				},
			});
			client.connect();
			return { client, got, ready: durable.subscription.ready(20_000) };
		};
		const one = consume(first, (n) => n < 10);
		await one.ready;
		for (let n = 0; n < 20; n++) expect(await publish(n)).toBe(200);
		await until(() => one.got.length === 10, "what the first machine handles");
		const acknowledged = async () => (await admin.query(`SELECT "offset"::int AS at FROM ${schema}.durable_position`)).rows[0]?.at;
		await until(async () => (await acknowledged()) === 11, "its position in PostgreSQL");
		await first.kill9("supervisor");
		one.client.disconnect();
		for (const folder of first.sharedDirectories()) rmSync(folder, { recursive: true });
		const two = consume(second, () => true);
		await two.ready;
		await publish(20);
		await until(() => two.got.length >= 11, "the rest on the second machine");
		expect([one.got, two.got]).toEqual([Array.from({ length: 10 }, (_, n) => n), Array.from({ length: 11 }, (_, n) => n + 10)]);

		await Promise.all(sessions.splice(0).map((session) => session.end().catch(() => undefined)));
		await postgres.end();
		await until(async () => (await second.health()).status === "degraded", "a health that says so");
		expect((await second.health()).reasons.join()).toMatch(/PostgreSQL/);
		expect(await publish(21)).toBe(503);
		expect((await api(second, "block_user", { user: "bob" })).body).toMatchObject({ error: { code: 100 } });
		await postgres.start();
		admin = await connect();
		await until(async () => (await publish(22)) === 200, "a publication");
		await until(() => two.got.at(-1) === 22, "it at the consumer");
		const entries = async () => (await admin.query(`SELECT count(*)::int AS n FROM ${schema}.revocation`)).rows[0].n;
		await until(async () => (await entries()) === 2, "the user who was blocked meanwhile");
		await until(async () => (await second.health()).status === "healthy", "a healthy cluster");
	});

	/** A call of the server API, which needs no key here. */
	async function api(cluster: Cluster, method: string, body: object): Promise<{ readonly status: number; readonly body: unknown }> {
		const headers = { "content-type": "application/json", "x-api-key": "a-key-of-the-api" };
		const answer = await httpRequest(`${cluster.httpUrl}/api/${method}`, { method: "POST", headers, body: JSON.stringify(body) });
		const parsed = JSON.parse(answer.body) as { readonly result?: unknown };
		return { status: answer.status, body: parsed.result ?? parsed };
	}
});
