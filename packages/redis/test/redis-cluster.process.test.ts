import { Script } from "@shardcast/redis";
import { RedisCluster, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRedis } from "./support/client.ts";

describe.skipIf(!redisForTests())("Redis Cluster", () => {
	let cluster: RedisCluster;
	beforeAll(async () => {
		cluster = await RedisCluster.start(3);
	});
	afterAll(() => cluster.stop());

	it("sends each command to the server of its key, scripts too, and receives sharded and plain messages", async () => {
		const redis = openRedis(cluster.url);
		try {
			await redis.ready(10_000);
			const keys = Array.from({ length: 30 }, (_, index) => `key${index}`);
			const set = await redis.pipeline(keys.map((key) => ({ key, args: ["SET", key, key] })));
			expect(set.filter((outcome) => "error" in outcome)).toEqual([]);
			const script = new Script("return redis.call('GET', KEYS[1])");
			expect(await Promise.all(keys.map((key) => redis.run(script, [key], [])))).toEqual(keys);
			const got: string[] = [];
			for (const key of keys.slice(0, 6)) await redis.subscribe(`sharded${key}`, (message) => got.push(String(message)), { sharded: true });
			await redis.subscribe("plain", (message) => got.push(String(message)));
			for (const key of keys.slice(0, 6)) await redis.send(`sharded${key}`, ["SPUBLISH", `sharded${key}`, key]);
			await redis.send("plain", ["PUBLISH", "plain", "to all"]);
			await waitFor(() => got.length === 7, { deadlineMs: 10_000, what: "all seven messages" });
			expect(got.toSorted()).toEqual([...keys.slice(0, 6), "to all"].toSorted());
		} finally {
			redis.close();
		}
	});

	it("is ready once each server can be sent commands, and not when the first one can", async () => {
		const [, , third] = cluster.servers;
		third.signal("SIGSTOP");
		const redis = openRedis(cluster.url, { connectTimeoutMs: 20_000, answerTimeoutMs: 20_000 });
		try {
			await expect(redis.ready(1000)).rejects.toThrow("cannot use Redis");
			third.signal("SIGCONT");
			await redis.ready(20_000);
			const set = await redis.pipeline(Array.from({ length: 30 }, (_, index) => ({ key: `k${index}`, args: ["SET", `k${index}`, "x"] })));
			expect(set.filter((outcome) => "error" in outcome)).toEqual([]);
		} finally {
			third.signal("SIGCONT");
			redis.close();
		}
	});

	it("goes on with the other servers while one is away, and with all when it is back", async () => {
		const redis = openRedis(cluster.url, { answerTimeoutMs: 2000 });
		try {
			await redis.ready(10_000);
			const [, , third] = cluster.servers;
			const keys = Array.from({ length: 12 }, (_, index) => `other${index}`);
			const get = () => redis.pipeline(keys.map((key) => ({ key, args: ["GET", key] })));
			third.signal("SIGSTOP");
			const within = await Promise.race([get(), new Promise<null>((resolve) => setTimeout(resolve, 10_000, null))]);
			expect(within, "no command waits for ever").not.toBeNull();
			const failed = within!.filter((outcome) => "error" in outcome).length;
			expect(failed, "those of the third server").toBeGreaterThan(0);
			third.signal("SIGCONT");
			await waitFor(async () => (await get()).every((outcome) => "value" in outcome), {
				deadlineMs: 15_000,
				what: "answers of all servers",
				everyMs: 100,
			});
		} finally {
			cluster.servers[2].signal("SIGCONT");
			redis.close();
		}
	});

	it("says that the address is of the other kind: a cluster's server as redis://, a single server as redis+cluster://", async () => {
		const [{ url }] = cluster.servers;
		const asServer = openRedis(url);
		const single = await RedisServer.start();
		const asCluster = openRedis(single.url.replace("redis:", "redis+cluster:"));
		try {
			await expect(asServer.ready(5000)).rejects.toThrow(/belongs to a Redis Cluster; write redis\+cluster:\/\//);
			await expect(asCluster.ready(5000)).rejects.toThrow(/no part of a Redis Cluster; write redis:\/\//);
		} finally {
			asServer.close();
			asCluster.close();
			await single.stop();
		}
	});
});
