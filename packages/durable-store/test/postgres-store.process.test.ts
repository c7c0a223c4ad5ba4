import { parsePostgresAddress } from "@shardcast/config";
import { silentLog } from "@shardcast/telemetry";
import { PostgresServer, postgresForTests, waitFor } from "@shardcast/testkit";
import type { Client } from "pg";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PostgresStore } from "../src/index.ts";
import { message, storeContract } from "./store-contract.ts";

describe.skipIf(!postgresForTests())("store in PostgreSQL", () => {
	let server: PostgresServer;
	let client: Client;
	let schema = "";
	let schemas = 0;
	let nowMs = 0;
	const opened: PostgresStore[] = [];
	/** What each store was told. */
	const told = new Map<PostgresStore, (string | null)[]>();
	beforeAll(async () => {
		server = await PostgresServer.start();
		client = await server.connect();
	});
	beforeEach(() => {
		schema = `s${++schemas}`;
	});
	afterEach(async () => {
		await Promise.all(opened.splice(0).map((store) => store.close()));
	});
	afterAll(async () => {
		await client?.end();
		await server?.stop();
	});

	const until = (condition: () => boolean | Promise<boolean>, what: string) => waitFor(condition, { deadlineMs: 30_000, what });
	const connected = (store: PostgresStore) => until(() => store.problem === null, "a connected store");
	async function open({ bytesMax = 1e9, positionsMax = 10 } = {}): Promise<PostgresStore> {
		const heard: (string | null)[] = [];
		const store = new PostgresStore({
			options: {
				address: parsePostgresAddress(server.url),
				schema,
				connectTimeoutMs: 20_000,
				answerTimeoutMs: 20_000,
				clientName: `${schema}-${opened.length}`,
			},
			bytesMax: () => bytesMax,
			positionsMax: () => positionsMax,
			nowMs: () => nowMs,
			onStored: (channel) => heard.push(channel),
			log: silentLog(),
		});
		told.set(store, heard);
		opened.push(store);
		await connected(store);
		return store;
	}
	const cut = (name: string) => client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", [name]);

	storeContract(() => ({
		open,
		close: async (store) => {
			opened.splice(opened.indexOf(store as PostgresStore), 1);
			await store.close();
		},
		later: async (ms) => {
			for (const [table, column] of [
				["channel", "published_at"],
				["key", "until"],
				["position", "until"],
			])
				await client.query(`UPDATE ${schema}.durable_${table} SET ${column} = ${column} - $1::float8 * interval '1 ms'`, [ms]);
		},
		sweep: async (store) => {
			nowMs += 10_000;
			(store as PostgresStore).follow(true);
			await store.sweep();
		},
	}));

	it("writes what waits together: one commit for many publications of many channels", async () => {
		const store = await open();
		const published = Array.from({ length: 600 }, (_, index) => store.publish(`c${index % 20}`, message(`m${index}`)));
		await Promise.all(published);
		const { rows } = await client.query(`SELECT count(DISTINCT xmin::text)::int AS commits FROM ${schema}.durable_publication`);
		expect(rows[0].commits, "commits for 600 publications").toBeLessThanOrEqual(4);
	});

	it("tells the store that follows what others have stored, also after its connection was lost", async () => {
		const [one, other] = [await open(), await open()];
		const heard = told.get(one)!;
		// It was told when it connected, too. What is published before LISTEN takes effect is not notified.
		heard.length = 0;
		one.follow(true);
		await until(() => heard.includes(null), "a store that follows");
		const channel = "a\0ü b";
		await other.publish(channel, message("1"));
		await until(() => heard.includes(channel), "a notification");
		expect(one.channel(channel)?.last).toBe(2);
		heard.length = 0;
		await cut(`${schema}-0`);
		await until(() => one.problem !== null, "a lost connection");
		await other.publish(channel, message("2"));
		await connected(one);
		await until(() => heard.includes(null), "a store that follows again");
		await one.refresh([channel, "unknown"]);
		expect([one.channel(channel)?.last, one.channel("unknown"), one.lost]).toEqual([3, null, 1]);
		await other.publish(channel, message("3"));
		await until(() => heard.includes(channel), "a notification");
	});

	it("rejects at once while PostgreSQL is away, keeps acknowledgements, and goes on when it is back", async () => {
		const store = await open();
		await store.publish("c", message("1"));
		await store.positions.begin("u", "c", "k", { offset: 1, epoch: "e" }, 60_000);
		await client.end();
		await server.end();
		await until(() => store.problem !== null, "a lost connection");
		await expect(store.publish("c", message("2"))).rejects.toThrow(/PostgreSQL/);
		await expect(store.open("c", 1000)).rejects.toThrow(/PostgreSQL/);
		expect(store.positions.acknowledge("u", "c", "k", { offset: 2, epoch: "e" })).toBe("acknowledged");
		await store.positions.flush();
		expect([store.positions.of("u", "c", "k"), store.positions.failures > 0]).toEqual([{ offset: 2, epoch: "e" }, true]);
		await server.start();
		client = await server.connect();
		await connected(store);
		await store.positions.flush();
		expect(await store.positions.look("u", "c", "k")).toEqual({ offset: 2, epoch: "e" });
		expect(await store.publish("c", message("2"))).toMatchObject({ offset: 3 });
		expect(store.counts).toMatchObject({ written: 2, failed: 2, refused: 0 });
	});

	it("tries nothing any more after it was closed while PostgreSQL was away", async () => {
		const [closed, other] = [await open(), await open()];
		const failures = () => [closed, other].map(({ positions }) => positions.failures);
		for (const { positions } of [closed, other]) await positions.begin("u", "c", "k", { offset: 1, epoch: "e" }, 60_000);
		await client.end();
		await server.end();
		await until(() => [closed, other].every(({ problem }) => problem !== null), "lost connections");
		for (const { positions } of [closed, other]) positions.acknowledge("u", "c", "k", { offset: 2, epoch: "e" });
		await until(() => failures().every((count) => count > 0), "failed writes");
		await closed.close();
		const [before, others] = failures();
		await until(() => other.positions.failures > others! + 1, "more attempts of the other store");
		expect(closed.positions.failures, "attempts after the end").toBe(before);
		await server.start();
		client = await server.connect();
	});

	it("refuses publications when too many wait for PostgreSQL", async () => {
		const store = await open();
		await store.publish("c", message("1"));
		await client.query(`BEGIN; SELECT FROM ${schema}.durable_channel FOR UPDATE`);
		const some = Array.from({ length: 10_400 }, (_, index) => store.publish("c", message(`m${index}`)));
		expect(await Promise.race([some.at(-1), new Promise((resolve) => setTimeout(resolve, 5000, "it waits"))])).toBe("full");
		await client.query("ROLLBACK");
		const outcomes = await Promise.all(some);
		expect(outcomes.filter((outcome) => outcome === "full").length, "refused").toBe(store.counts.refused);
		expect(store.counts.refused).toBeGreaterThan(0);
		expect((await store.open("c", 1000)) as object, "none was lost").toMatchObject({ last: 2 + 10_400 - store.counts.refused });
	});
});
