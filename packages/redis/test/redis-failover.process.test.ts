import type { Redis } from "@shardcast/redis";
import { RedisCluster, RedisPair, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRedis } from "./support/client.ts";

const deadlineMs = 20_000;

describe.skipIf(!redisForTests())("a Redis with a replica, behind an address that moves", () => {
	let pair: RedisPair;
	beforeAll(async () => {
		pair = await RedisPair.start();
	});
	afterAll(() => pair?.stop());

	it("a master that has become a replica is left for the new one, and subscriptions go with it", { tags: ["long"] }, async () => {
		const redis = openRedis(pair.url);
		try {
			await redis.ready(deadlineMs);
			const got: string[] = [];
			await redis.subscribe("news", (message) => got.push(String(message)));
			await redis.send("a", ["SET", "a", "1"]);
			await pair.replicated();
			pair.promote();
			// The connections stay: nothing but its answers tells that the master is none any more.
			pair.move({ closing: false });
			pair.master.order("REPLICAOF", "127.0.0.1", String(pair.replica.port));
			await waitFor(async () => (await redis.send("a", ["INCR", "a"])) === 2, { deadlineMs, what: "a command at the new master" });
			await waitFor(
				async () => {
					pair.replica.order("PUBLISH", "news", "from the new master");
					return got.includes("from the new master");
				},
				{ deadlineMs, what: "its messages" },
			);
			expect(pair.replica.order("GET", "a")).toBe("2");
			const toReplica = openRedis(pair.master.url);
			// It may not have been answered within the time.
			await expect
				.poll(() => toReplica.ready(300).catch(String), { message: "the reason" })
				.toMatch(/is a replica; the address must lead to the master/);
			toReplica.close();
		} finally {
			redis.close();
		}
	});
});

describe.skipIf(!redisForTests())("a Redis Cluster of three masters and three replicas", () => {
	let cluster: RedisCluster;
	const clients: Redis[] = [];
	const client = (): Redis => {
		const redis = openRedis(cluster.url, { clientName: `test-${clients.length}` });
		clients.push(redis);
		return redis;
	};
	beforeAll(async () => {
		cluster = await RedisCluster.start(3, { replicas: true });
	});
	afterAll(async () => {
		for (const redis of clients) redis.close();
		await cluster?.stop();
	});

	const names = Array.from({ length: 24 }, (_, index) => `channel${index}`);
	/** Receives all channels; `got` has the numbers of each. */
	async function follow(): Promise<{ readonly redis: Redis; readonly got: Map<string, number[]>; readonly restored: () => number }> {
		const redis = client();
		await redis.ready(deadlineMs);
		let restored = 0;
		redis.onRestored(() => restored++);
		const got = new Map<string, number[]>();
		const listener = (name: string) => (message: Buffer) => got.get(name)!.push(Number(message.toString()));
		for (const name of [...names, "plain"]) got.set(name, []);
		// One that fails because a server has just hung up is tried again by the client, and `allGet` waits for it.
		await Promise.allSettled([
			...names.map((name) => redis.subscribe(name, listener(name), { sharded: true })),
			redis.subscribe("plain", listener("plain")),
		]);
		return { redis, got, restored: () => restored };
	}
	/** Publishes to each channel until each has got one. */
	async function allGet({ redis, got }: { readonly redis: Redis; readonly got: Map<string, number[]> }, from: number): Promise<void> {
		let number = from;
		await waitFor(
			async () => {
				number++;
				await redis.pipeline(names.map((name) => ({ key: name, args: ["SPUBLISH", name, String(number)] })));
				await redis.send("plain", ["PUBLISH", "plain", String(number)]);
				const silent = [...got].filter(([, numbers]) => !numbers.some((each) => each > from)).map(([name]) => name);
				if (silent.length > 0) throw new Error(`nothing in ${silent.join(", ")}`);
				return true;
			},
			{ deadlineMs: 40_000, what: "a message in each channel", everyMs: 100 },
		);
		for (const [name, numbers] of got) expect(new Set(numbers).size, `no message of ${name} twice`).toBe(numbers.length);
	}

	it("a killed master: its replica takes over, for commands and for subscriptions, also of a client that starts meanwhile", async () => {
		const follower = await follow();
		await allGet(follower, 0);
		const master = cluster.masterOf(names[0]!);
		const before = follower.restored();
		await master.end();
		const late = client();
		await allGet(follower, 1_000_000);
		await waitFor(() => follower.restored() > before, { deadlineMs, what: "being told that messages may be missing" });
		await late.ready(deadlineMs);
		await waitFor(
			async () => {
				const set = await late.pipeline(names.map((name) => ({ key: name, args: ["SET", name, name] })));
				return set.every((outcome) => "value" in outcome);
			},
			{ deadlineMs, what: "commands of the client that started meanwhile" },
		);
		// The server that is asked may hear of it later than the clients.
		await waitFor(() => cluster.masterOf(names[0]!).port !== master.port, { deadlineMs, what: "another master that all know" });
		await master.start();
		await cluster.works();
		await allGet(follower, 2_000_000);
	});

	it("a slot that moves to another master: commands and subscriptions follow it", { tags: ["long"] }, async () => {
		const follower = await follow();
		await allGet(follower, 0);
		const [name] = names as [string];
		const source = cluster.masterOf(name);
		const target = names.map((each) => cluster.masterOf(each)).find(({ port }) => port !== source.port)!;
		const slot = source.order("CLUSTER", "KEYSLOT", name);
		const [from, to] = [source.order("CLUSTER", "MYID"), target.order("CLUSTER", "MYID")];
		const { redis } = follower;
		await redis.send(name, ["SET", name, "before"]);
		target.order("CLUSTER", "SETSLOT", slot, "IMPORTING", from);
		source.order("CLUSTER", "SETSLOT", slot, "MIGRATING", to);
		source.order("MIGRATE", "127.0.0.1", String(target.port), name, "0", "5000");
		expect(await redis.send(name, ["GET", name]), "asked of the target").toBe("before");
		await redis.send(name, ["SET", name, "during"]);
		for (const server of [target, source]) server.order("CLUSTER", "SETSLOT", slot, "NODE", to);
		expect(await redis.send(name, ["GET", name])).toBe("during");
		await allGet(follower, 1_000_000);
	});
});
