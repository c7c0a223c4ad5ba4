// @module-tag long
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, RedisCluster, redisForTests, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Keys } from "../src/keys.ts";
import { ask, exactlyOnce, Fleet, nodeFile } from "./support/fleet.ts";

const waitMs = 40_000;

describe.skipIf(!redisForTests())("two nodes on a Redis Cluster of three masters and three replicas", () => {
	let redis: RedisCluster;
	let directory: string;
	let nodes: readonly Cluster[];
	const fleets: Fleet[] = [];
	const keys = new Keys("ws");
	const masterOf = (channel: string) => redis.masterOf(keys.meta(channel));
	const members = () =>
		waitFor(
			async () => {
				for (const { httpUrl } of nodes) {
					const seen = await ask<{ state: string; nodes: readonly object[] }>(`${httpUrl}/cluster/nodes`, "GET");
					if (seen.state !== "member" || seen.nodes.length !== 2) throw new Error(`${seen.state}, ${seen.nodes.length} nodes`);
				}
				return true;
			},
			{ deadlineMs: waitMs, what: "two members" },
		);
	const fleet = (channel: string): Promise<Fleet> => {
		const one = new Fleet({ places: () => nodes, channel, clients: 4, senders: 2 });
		fleets.push(one);
		return one.ready();
	};

	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), nodeFile);
		redis = await RedisCluster.start(3, { replicas: true });
		const start = (id: string, shards: number) => {
			const flags = ["--config", join(directory, "shardcast.yaml"), "--node-id", id, "--redis-timeout", "1s"];
			const more = [
				"--node-heartbeat",
				"500ms",
				...(id === "n1" ? ["--redis-compression", "deflate", "--redis-compression-min-size", "0"] : []),
			];
			return startCluster({ shards, flags: [...flags, ...more], env: { REDIS_URL: redis.url } });
		};
		nodes = await Promise.all([start("n1", 2), start("n2", 1)]);
		await members();
	});
	afterAll(async () => {
		for (const each of fleets) each.disconnect();
		try {
			for (const node of nodes ?? []) await node.stop();
		} finally {
			await redis?.stop();
			rmSync(directory, { recursive: true });
		}
	});

	it("a killed master: its channels begin another epoch and say so, the others lose nothing, and both nodes stay members", async () => {
		// The master that has the membership as well.
		const victim = redis.masterOf("{ws:cluster}:nodes");
		const named = Array.from({ length: 200 }, (_, index) => `news:${index}`);
		const there = named.find((channel) => masterOf(channel).port === victim.port)!;
		const elsewhere = named.find((channel) => masterOf(channel).port !== victim.port)!;
		const [hit, spared] = await Promise.all([fleet(there), fleet(elsewhere)]);
		const plain = await fleet("plain");
		for (const each of [hit, spared]) each.start();
		await Promise.all([hit.more(60), spared.more(60)]);
		await victim.end();
		await Promise.all([hit.more(60), spared.more(60)]);
		const [lossy, exact] = await Promise.all([hit.end(), spared.end()]);
		expect(exact, "on another master").toMatchObject(exactlyOnce);
		expect(spared.unrecovered).toBe(0);
		expect(lossy, "on the killed master").toMatchObject({ duplicated: 0, reordered: 0, unexpected: 0 });
		expect(
			hit.clients.map(({ unrecovered }) => unrecovered > 0),
			"each client is told that publications may be missing",
		).toEqual([true, true, true, true]);
		await members();
		// Without history: what is published before the shards have subscribed again may be lost, what comes later may not.
		for (const { httpUrl } of nodes)
			await waitFor(
				async () => {
					const before = plain.received();
					await ask(`${httpUrl}/api/publish`, "POST", { channel: "plain", data: { sender: 0, n: 0, text: "a".repeat(500) } });
					await waitFor(() => plain.received().every((count, index) => count > before[index]!), {
						deadlineMs: 500,
						what: "it at each client",
					});
					return true;
				},
				{ deadlineMs: waitMs, what: "a message without history from each node at each client" },
			);
		// The killed one comes back as a replica.
		await victim.start();
		await redis.works();
		const again = await fleet(`${there}-again`);
		again.start();
		await again.more(60);
		expect(await again.end()).toMatchObject(exactlyOnce);
		const saved = async ({ httpUrl }: Cluster, what: string) =>
			(await Scrape.of(httpUrl)).sum("shardcast_redis_compression_saved_bytes_total", { what });
		const [one, two] = nodes as [Cluster, Cluster];
		expect([(await saved(one, "publications")) > 1000, (await saved(one, "batches")) > 0], "the first node compresses").toEqual([
			true,
			true,
		]);
		expect(await saved(two, "publications"), "the second one does not, and reads what is compressed").toBe(0);
	});
});
