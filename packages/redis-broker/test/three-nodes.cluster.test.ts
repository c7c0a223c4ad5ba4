// @module-tag long
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	type Cluster,
	descendantsOf,
	PostgresServer,
	postgresForTests,
	RedisServer,
	redisForTests,
	Scrape,
	startCluster,
	stressed,
	waitFor,
} from "@shardcast/testkit";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ask, exactlyOnce, Fleet, nodeFile } from "./support/fleet.ts";

const waitMs = 40_000;
const timeoutMs = 3000;
const hasPostgres = postgresForTests();

interface NodesAnswer {
	readonly state: string;
	readonly nodes: readonly { readonly id: string; readonly status: string }[];
}

describe.skipIf(!redisForTests())("three nodes of two shards on separate addresses", () => {
	let redis: RedisServer;
	/** Null = not installed. */
	let postgres: PostgresServer | null = null;
	let directory: string;
	const nodes = new Map<string, Cluster>();
	/** Nodes whose processes are stopped: no client may choose them, as behind a load balancer with health checks. */
	const stopped = new Set<string>();
	const fleets: Fleet[] = [];

	const start = async (id: string): Promise<void> => {
		const flags = ["--config", join(directory, "shardcast.yaml"), "--node-id", id, "--redis-timeout", "1s", "--redis-trust-replicas"];
		const times = ["--node-timeout", `${timeoutMs}ms`, "--node-heartbeat", "300ms"];
		const env = { REDIS_URL: redis.url, SHARDCAST_POSTGRES_URL: postgres?.url };
		nodes.set(id, await startCluster({ host: `127.0.0.${Number(id.slice(1)) + 1}`, flags: [...flags, ...times], env }));
	};
	const places = () => [...nodes].filter(([id]) => !stopped.has(id)).map(([, cluster]) => cluster);
	const seen = (id: string) => ask<NodesAnswer>(`${nodes.get(id)!.httpUrl}/cluster/nodes`, "GET");
	const sees = (id: string, ids: string) =>
		waitFor(
			async () => {
				const { state, nodes: all } = await seen(id);
				const text = `${state}: ${all.map((node) => node.id).join(" ")}`;
				if (text !== `member: ${ids}`) throw new Error(text);
				return true;
			},
			{ deadlineMs: waitMs, what: `node ${id} as a member that sees ${ids}` },
		);
	const together = () => Promise.all([...nodes.keys()].map((id) => sees(id, [...nodes.keys()].sort().join(" "))));
	let channels = 0;
	const fleet = async (options: Partial<ConstructorParameters<typeof Fleet>[0]> = {}): Promise<Fleet> => {
		const one = new Fleet({ places, channel: `news:${channels++}`, clients: 12, senders: 3, ...options });
		fleets.push(one);
		return one.ready();
	};

	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), nodeFile);
		const started = RedisServer.start({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
		[redis, postgres] = await Promise.all([started, hasPostgres ? PostgresServer.start() : null]);
		await Promise.all(["n1", "n2", "n3"].map(start));
	});
	beforeEach(together);
	afterAll(async () => {
		for (const each of fleets) each.disconnect();
		try {
			for (const node of nodes.values()) await node.stop();
		} finally {
			await Promise.all([redis?.stop(), postgres?.stop()]);
			rmSync(directory, { recursive: true });
		}
	});

	it("kill -9 of a whole node: its clients recover on the others, and each gets each message once and in order", async () => {
		for (let round = 0; round < stressed(1); round++) {
			const all = await fleet();
			all.start();
			await all.more(100);
			const node = nodes.get("n3")!;
			nodes.delete("n3");
			await node.kill9("supervisor");
			await waitFor(() => all.clients.every(({ subscription }) => subscription.state === "subscribed"), {
				deadlineMs: waitMs,
				what: "all clients on the other nodes",
			});
			await all.more(100);
			expect(await all.end()).toMatchObject(exactlyOnce);
			expect([all.unrecovered, all.clients.filter(({ connects }) => connects > 1).length]).toEqual([0, 4]);
			for (const folder of node.sharedDirectories()) rmSync(folder, { recursive: true });
			await Promise.all(["n1", "n2"].map((id) => sees(id, "n1 n2")));
			await start("n3");
			await together();
		}
	});

	it("SIGSTOP of a whole node for longer than the node timeout: it notices, catches up, and nothing comes twice", async () => {
		const pausedMs = process.env.SHARDCAST_STRESS === undefined ? 0 : 20_000;
		const node = nodes.get("n2")!;
		const all = await fleet();
		const restarts = async () => (await node.health()).shards.map((shard) => shard.restarts);
		const before = await restarts();
		all.start();
		await all.more(60);
		const pids = [node.process.pid, ...descendantsOf(node.process.pid).map(({ pid }) => pid)];
		stopped.add("n2");
		const began = performance.now();
		// The supervisor first and last: it must not take the pause of its children for a hang.
		for (const pid of pids) process.kill(pid, "SIGSTOP");
		try {
			await sees("n1", "n1 n3");
			await waitFor(() => performance.now() - began > pausedMs, { deadlineMs: 30_000, what: "the end of the pause" });
			await all.more(60);
			const answer = await ask<object>(`${nodes.get("n1")!.httpUrl}/api/block_user`, "POST", { user: "mallory" });
			expect(answer, "a node that has left is not waited for").toEqual({ result: {} });
		} finally {
			for (const pid of pids.toReversed()) process.kill(pid, "SIGCONT");
		}
		// What it says now must be of now: cut off, or a member that sees all.
		const { state, nodes: listed } = await seen("n2");
		expect(state === "member" ? listed.map(({ id }) => id) : state).not.toEqual(["n2"]);
		await sees("n2", "n1 n2 n3");
		stopped.delete("n2");
		await waitFor(async () => (await Scrape.of(node.httpUrl)).sum("shardcast_revocations", { kind: "user" }) === 2, {
			deadlineMs: waitMs,
			what: "the blocked user on both shards of the node that was stopped",
		});
		await all.more(60);
		expect(await all.end()).toMatchObject(exactlyOnce);
		expect(all.unrecovered).toBe(0);
		expect(await restarts(), "no process was killed for being stopped").toEqual(before);
		expect(node.log()).toMatch(/cut off/);
	});

	it("restart of Redis with its data: who trusts it goes on in the same epoch, and nothing is lost or comes twice", async () => {
		for (let round = 0; round < stressed(1); round++) {
			const all = await fleet();
			all.start();
			await all.more(100);
			await redis.end();
			await redis.start();
			await all.more(100);
			expect(await all.end()).toMatchObject(exactlyOnce);
			expect(all.unrecovered).toBe(0);
			await together();
		}
	});

	it.skipIf(!hasPostgres)(
		"PostgreSQL stopped and started: its rows come once and in order, and everything else goes on meanwhile",
		async () => {
			let session = await postgres!.connect();
			const via = (channel: string, message: object) =>
				session.query("SELECT shardcast.publish($1, $2::json)", [channel, JSON.stringify(message)]);
			const [all, rows] = [await fleet(), await fleet({ senders: 1, via })];
			for (const each of [all, rows]) each.start();
			await rows.more(30);
			await rows.pause();
			await postgres!.end();
			await all.more(60);
			await postgres!.start();
			session = await postgres!.connect();
			try {
				rows.start();
				await rows.more(30);
				expect(await rows.end(), "rows of the outbox").toMatchObject(exactlyOnce);
				expect(await all.end(), "other messages").toMatchObject(exactlyOnce);
				expect([rows.unrecovered, all.unrecovered]).toEqual([0, 0]);
			} finally {
				await session.end();
			}
		},
	);
});
