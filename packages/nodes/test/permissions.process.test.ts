import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseRedisAddress } from "@shardcast/config";
import { Redis, RedisError } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";
import { RedisCluster, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { describe, expect, it, vi } from "vitest";
import { nodeKeys } from "../src/node-keys.ts";
import { missingPermissions } from "../src/permissions.ts";
import { Machine, waitMs } from "./support/machines.ts";

const guide = readFileSync(join(import.meta.dirname, "../../../docs/reference/nodes.md"), "utf8");
const rules = /^ACL SETUSER shardcast on >password (.+)$/m.exec(guide)![1]!.split(" ");

describe.skipIf(!redisForTests())("permissions in Redis", () => {
	it("those that the guide names are enough in a Redis Cluster, for the membership and for all the rest", { tags: ["long"] }, async () => {
		const cluster = await RedisCluster.start(3);
		const allow = (...more: readonly string[]) => {
			for (const server of cluster.servers) server.order("ACL", "SETUSER", "limited", "reset", "on", ">secret", ...rules, ...more);
		};
		try {
			allow();
			const url = cluster.url.replace("//", "//limited:secret@");
			const machines = await Promise.all(["a", "b"].map((id) => new Machine(url, id).join()));
			const [a, b] = machines as [Machine, Machine];
			await Promise.all([a.hears("+b"), b.hears("+a")]);
			expect(await missingPermissions(a.redis, nodeKeys("ws", true), "ws")).toBeNull();
			allow("-spublish");
			expect(await missingPermissions(a.redis, nodeKeys("ws", true), "ws")).toMatch(
				/^its user may not do "SPUBLISH \{ws:cluster\}:control", "SPUBLISH .*, and 2 more$/,
			);
			expect(await missingPermissions(a.redis, nodeKeys("other", true), "other"), "names that it may not use").toMatch(
				/"SSUBSCRIBE \{other/,
			);
			for (const machine of machines) await machine.leave();
			const refused = cluster.servers.flatMap((server) => server.order("ACL", "LOG").split("\n"));
			expect(
				refused.filter((line) => line !== ""),
				"what the servers have refused",
			).toEqual([]);
		} finally {
			await cluster.stop();
		}
	});

	it("a subscription that Redis refuses is logged, since nothing else tells of it", async () => {
		const server = await RedisServer.start();
		const lines: string[] = [];
		const log = silentLog();
		vi.spyOn(log, "warn").mockImplementation(((_: unknown, text: string) => lines.push(text)) as never);
		server.order("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "+@all", "&ws:cluster:*");
		const address = parseRedisAddress(server.url.replace("//", "//deaf:secret@"));
		const times = { connectTimeoutMs: 2000, answerTimeoutMs: 2000 };
		const redis = new Redis({ address, tls: null, ...times, clientName: "deaf", waitingMax: 10 }, log).open();
		try {
			await redis.ready(waitMs);
			await expect(redis.subscribe("ws:messages:0", () => {}, { sharded: true })).rejects.toThrow(RedisError);
			// It is tried again, and told of once a minute at most.
			await waitFor(async () => (await server.ask("ACL", "LOG")).includes("ws:messages:0"), {
				deadlineMs: waitMs,
				what: "the refusal in Redis",
			});
			expect(lines).toEqual([expect.stringMatching(/^Redis refuses a subscription: NOPERM .*; trying again$/)]);
			server.order("ACL", "SETUSER", "deaf", "allchannels");
			await waitFor(async () => (await server.ask("PUBSUB", "SHARDNUMSUB", "ws:messages:0")).endsWith("1"), {
				deadlineMs: waitMs,
				what: "the subscription",
			});
		} finally {
			redis.close();
			await server.stop();
		}
	});
});
