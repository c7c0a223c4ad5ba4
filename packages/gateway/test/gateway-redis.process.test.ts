import type { FollowedOrders } from "@shardcast/nodes";
import { RedisCluster, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GatewayRig, type RigClient, tokenOf } from "./support/gateway-rig.ts";
import { orderKick, redisConnectTimeoutMs, refusalStatus, standingNode } from "./support/standing-node.ts";

const within = { deadlineMs: 20_000 };
const key = "a-secret-of-some-length";
const blocked = { code: 3507, reason: "permission denied" };
const kicked = { code: 3503, reason: "force disconnect" };

describe.skipIf(!redisForTests())("a gateway with the Redis of a cluster", () => {
	const opened: { stop(): unknown }[] = [];
	let redis: RedisServer;
	let rig: GatewayRig;
	let node: FollowedOrders;
	// It takes seconds, in which the other tests run.
	let clusterStarts: Promise<RedisCluster>;
	const client = (user: string, claims: object = {}, of = rig): RigClient => of.open({}, `?token=${tokenOf(user, key, claims)}`);
	const nodeOf = async (url: string): Promise<FollowedOrders> => {
		const standing = standingNode(url);
		opened.push(standing);
		await standing.start();
		return standing;
	};
	const gatewayOf = async (redisAddress: string): Promise<GatewayRig> => {
		const started = await GatewayRig.start({ tokenHmacSecret: key, redisAddress, redisConnectTimeoutMs });
		opened.push(started);
		return started;
	};

	beforeAll(async () => {
		clusterStarts = RedisCluster.start(1);
		clusterStarts.catch(() => {});
		redis = await RedisServer.start();
		opened.push(redis);
		node = await nodeOf(redis.url);
		expect(await node.revocations.change({ add: { kind: "user", id: "old" } })).toBe("kept");
		rig = await gatewayOf(redis.url);
	});
	afterAll(async () => {
		for (const each of opened.splice(0).reverse()) await each.stop();
		await (await clusterStarts).stop();
	});

	it("has the list before its first client, hears orders from then on, and takes what nodes block, revoke and kick", async () => {
		expect(await refusalStatus(client("old")), "blocked before its start").toBe(403);
		const [ann, bob, cat] = [await client("ann").welcome(), await client("bob").welcome(), await client("cat", { jti: "c1" }).welcome()];
		expect(await node.revocations.change({ add: { kind: "user", id: "ann" } })).toBe("kept");
		expect(await ann.closing()).toEqual(blocked);
		expect(await node.revocations.change({ add: { kind: "token", id: "c1" } })).toBe("kept");
		expect(await cat.closing()).toEqual({ code: 3500, reason: "invalid token" });
		expect(orderKick(redis, "bob"), "it and the node listen").toBe(2);
		expect(await bob.closing()).toEqual(kicked);
		expect(rig.report.clients.closed).toMatchObject({ revoked: 2, kicked: 1 });
		// As soon as `start` has resolved: one more hears.
		await nodeOf(redis.url);
		expect(orderKick(redis, "nobody"), "listeners right after a start").toBe(3);
	});

	it("keeps its list while Redis is away; gives it to one that comes back empty, takes what was blocked meanwhile, and hears kicks again", async () => {
		const [dan, eve] = [await client("dan").welcome(), await client("eve").welcome()];
		await redis.end();
		await waitFor(async () => (await node.revocations.change({ add: { kind: "user", id: "dan" } })) === "alone", {
			...within,
			what: "a node that cannot reach Redis",
		});
		expect(await refusalStatus(client("old")), "with the list that it has").toBe(403);
		expect(await refusalStatus(client("new")), "not in the list").toBe(101);
		await redis.start();
		expect(await dan.closing()).toEqual(blocked);
		expect(await refusalStatus(client("old")), "as before").toBe(403);
		const isWhole = async () => {
			const entries = (await redis.ask("HKEYS", "ws:cluster:revocations:entries")).split("\n");
			return ["user old", "user ann", "token c1", "user dan"].every((entry) => entries.includes(entry));
		};
		await waitFor(isWhole, { ...within, what: "the list in a Redis that was empty" });
		await waitFor(() => orderKick(redis, "eve") >= 1 && eve.closed, { ...within, what: "a kick that is heard" });
		expect(eve.closed).toEqual(kicked);
	});

	it("works with a Redis Cluster", async () => {
		const cluster = await clusterStarts;
		const [far, other] = [await gatewayOf(cluster.url), await nodeOf(cluster.url)];
		const [ann, bob] = [await client("ann", {}, far).welcome(), await client("bob", {}, far).welcome()];
		expect(await other.revocations.change({ add: { kind: "user", id: "ann" } })).toBe("kept");
		expect(await ann.closing()).toEqual(blocked);
		expect(await refusalStatus(client("ann", {}, far))).toBe(403);
		expect(orderKick(cluster.masterOf("{ws:cluster}:control"), "bob", "{ws:cluster}:control"), "it and the node listen").toBe(2);
		expect(await bob.closing()).toEqual(kicked);
	});
});
