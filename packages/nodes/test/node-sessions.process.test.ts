import type { Redis } from "@shardcast/redis";
import type { SessionRequest } from "@shardcast/selection";
import { RedisCluster, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRedis } from "../../redis/test/support/client.ts";
import { nodeKeys } from "../src/node-keys.ts";
import { NodeSessions } from "../src/sessions/node-sessions.ts";

describe.skipIf(!redisForTests())("sessions in Redis", () => {
	let server: RedisServer;
	const clients: Redis[] = [];
	let users = 0;
	const connect = async (url: string): Promise<Redis> => {
		const redis = openRedis(url, { connectTimeoutMs: 5000, answerTimeoutMs: 5000, waitingMax: 2000 });
		clients.push(redis);
		await redis.ready(10_000);
		return redis;
	};
	const sessions = async (ttlMs = 60_000, more: { nowMs?: () => number; createdMax?: number } = {}, url = server.url) => {
		const redis = await connect(url);
		return { redis, made: new NodeSessions({ redis, keys: nodeKeys("ws", false), ttlMs, ...more }) };
	};
	const user = () => `user ${users++}`;
	const request = (id: string, node: string, follow: readonly string[], more: Partial<SessionRequest> = {}): SessionRequest => ({
		...{ of: "user", id, node, follow, address: "10.0.0.1", metadata: "", ...more },
	});
	const kept = async (redis: Redis, key: string) => JSON.parse((await redis.send(key, ["GET", key])) as string) as Record<string, unknown>;

	beforeAll(async () => {
		server = await RedisServer.start();
	});
	afterAll(async () => {
		for (const client of clients) client.close();
		await server.stop();
	});

	it("the first choice stays while its node can take clients, and moves when it cannot", async () => {
		const { made, redis } = await sessions();
		const ann = user();
		expect(await made.assign([request(ann, "n1", ["n1", "n2"])])).toEqual([{ node: "n1", outcome: "new" }]);
		expect(await made.assign([request(ann, "n2", ["n1", "n2"])])).toEqual([{ node: "n1", outcome: "kept" }]);
		expect(await made.assign([request(ann, "n2", ["n2"])]), "n1 drains, is full or is gone").toEqual([{ node: "n2", outcome: "moved" }]);
		expect(await made.assign([request(ann, "n1", ["n1", "n2"])]), "n1 is back").toEqual([{ node: "n2", outcome: "kept" }]);
		expect(await kept(redis, `ws:session:user:${ann}`)).toEqual({ user: ann, node: "n2", address: "10.0.0.1", at: expect.any(Number) });
		expect(made.counts).toMatchObject({ new: 1, kept: 2, moved: 1, full: 0, unavailable: 0 });
	});

	it("nodes that ask at the same time get the same answer, also when the session has to move", async () => {
		const nodes = await Promise.all(Array.from({ length: 4 }, () => sessions()));
		const names = ["n0", "n1", "n2", "n3"];
		for (let round = 0; round < 25; round++) {
			const id = user();
			const first = await Promise.all(nodes.map(({ made }, index) => made.assign([request(id, names[index]!, names)])));
			const winner = first[0]![0]!.node;
			expect(first.map(([each]) => each!.node)).toEqual([winner, winner, winner, winner]);
			expect(first.filter(([each]) => each!.outcome === "new")).toHaveLength(1);
			const left = names.filter((name) => name !== winner);
			const next = await Promise.all(nodes.map(({ made }, index) => made.assign([request(id, left[index % 3]!, left)])));
			expect(new Set(next.map(([each]) => each!.node)).size, "after its node has gone").toBe(1);
			expect(next.filter(([each]) => each!.outcome === "moved")).toHaveLength(1);
		}
	});

	it("an application assigns a node in any case, and its metadata stays when the session moves", async () => {
		const { made, redis } = await sessions();
		const ann = user();
		const metadata = '{"plan":"gold","n":[1.5,[]]}';
		expect(await made.assign([request(ann, "n1", [], { metadata })])).toEqual([{ node: "n1", outcome: "new" }]);
		expect(await made.assign([request(ann, "n2", [])])).toEqual([{ node: "n2", outcome: "moved" }]);
		expect(await made.assign([request(ann, "n3", ["n3"])])).toEqual([{ node: "n3", outcome: "moved" }]);
		expect((await kept(redis, `ws:session:user:${ann}`)).metadata, "as text, byte for byte").toBe(metadata);
		expect(await made.assign([request(ann, "n1", ["n1", "n3"], { metadata: "2" })]), "followed, with new metadata").toEqual([
			{ node: "n3", outcome: "kept" },
		]);
		expect(await kept(redis, `ws:session:user:${ann}`)).toMatchObject({ node: "n3", metadata: "2" });
	});

	it("users and connections are apart, and ids may be any text", async () => {
		const { made, redis } = await sessions();
		for (const id of ["x", "{a}b{", "a b\n\"'ü😀", "*?[]"]) {
			expect(await made.assign([request(id, "n1", ["n1"]), request(id, "n2", ["n2"], { of: "connection" })])).toEqual([
				{ node: "n1", outcome: "new" },
				{ node: "n2", outcome: "new" },
			]);
			expect(await kept(redis, `ws:session:conn:${id}`)).toMatchObject({ connection: id, node: "n2" });
		}
	});

	it("a session expires, and each request for it prolongs it", async () => {
		const { made, redis } = await sessions(60_000);
		const ann = user();
		const key = `ws:session:user:${ann}`;
		const left = async () => Number(await redis.send(key, ["PTTL", key]));
		await made.assign([request(ann, "n1", ["n1"])]);
		expect(await left()).toBeGreaterThan(30_000);
		// As if half of its time had passed.
		await redis.send(key, ["PEXPIRE", key, "30000"]);
		expect(await made.assign([request(ann, "n1", ["n1"])])).toEqual([{ node: "n1", outcome: "kept" }]);
		expect(await left()).toBeGreaterThan(30_000);
		expect(await left()).toBeLessThanOrEqual(60_000);
		const short = await sessions(1000);
		const bob = user();
		await short.made.assign([request(bob, "n1", ["n1"])]);
		await waitFor(async () => (await redis.send("x", ["EXISTS", `ws:session:user:${bob}`])) === 0, {
			deadlineMs: 8000,
			what: "the end of bob's",
		});
	});

	it("what others have written under a session's key does no harm", async () => {
		const { made, redis } = await sessions();
		for (const value of ["no json", "7", '"n1"', "[]", '{"node":7}', '{"node":"n9","metadata":{}}', "null"]) {
			const ann = user();
			await redis.send("x", ["SET", `ws:session:user:${ann}`, value]);
			expect(await made.assign([request(ann, "n1", ["n1"])]), value).toEqual([{ node: "n1", outcome: "moved" }]);
			expect(await made.assign([request(ann, "n2", ["n1", "n2"])]), value).toEqual([{ node: "n1", outcome: "kept" }]);
		}
		const ann = user();
		await redis.send("x", ["SADD", `ws:session:user:${ann}`, "a"]);
		expect(await made.assign([request(ann, "n1", ["n1"])]), "another type").toEqual([{ node: "n1", outcome: "unavailable" }]);
	});

	it("a node makes so many sessions within their time to live, and more after it; those that there are, are followed", async () => {
		let nowMs = 0;
		const { made } = await sessions(60_000, { nowMs: () => nowMs, createdMax: 20 });
		const ids = Array.from({ length: 20 }, () => user());
		const all = await made.assign(ids.map((id) => request(id, "n1", ["n1"])));
		expect(new Set(all.map(({ outcome }) => outcome))).toEqual(new Set(["new"]));
		const one = async () => (await made.assign([request(user(), "n1", ["n1"])]))[0]!.outcome;
		expect(await one()).toBe("full");
		expect(await made.assign([request(ids[0]!, "n2", ["n1", "n2"])])).toEqual([{ node: "n1", outcome: "kept" }]);
		expect(await made.assign([request(ids[1]!, "n2", ["n2"])]), "this makes none").toEqual([{ node: "n2", outcome: "moved" }]);
		nowMs += 60_000;
		expect(await one(), "those of the window before still live").toBe("full");
		nowMs += 60_000;
		expect(await one()).toBe("new");
		expect(made.counts).toEqual({ kept: 1, moved: 1, new: 21, full: 2, unavailable: 0 });
	});

	it("without Redis the client gets the chosen node, and nothing is remembered", async () => {
		const own = await RedisServer.start();
		const { made, redis } = await sessions(60_000, {}, own.url);
		await own.stop();
		await waitFor(() => redis.state !== "ready", { deadlineMs: 8000, what: "the loss of Redis" });
		expect(await made.assign([request("ann", "n2", ["n1"])])).toEqual([{ node: "n2", outcome: "unavailable" }]);
		expect(made.counts.unavailable).toBe(1);
	});

	it("works on a Redis Cluster, where sessions are spread over all slots", { tags: ["long"] }, async () => {
		const cluster = await RedisCluster.start(3);
		try {
			const redis = await connect(cluster.url);
			const made = new NodeSessions({ redis, keys: nodeKeys("ws", true), ttlMs: 60_000 });
			const ids = Array.from({ length: 20 }, (_, index) => `u${index}`);
			const first = await made.assign(ids.map((id) => request(id, "n1", ["n1", "n2"])));
			const again = await made.assign(ids.map((id) => request(id, "n2", ["n1", "n2"])));
			expect(new Set([...first, ...again].map(({ node }) => node))).toEqual(new Set(["n1"]));
			expect(made.counts).toMatchObject({ new: 20, kept: 20 });
		} finally {
			await cluster.stop();
		}
	});
});
