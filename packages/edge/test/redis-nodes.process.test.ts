import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { httpRequest, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { EdgeRig } from "./support/edge-rig.ts";
import { FakeNode } from "./support/fake-node.ts";

const opened: { stop(): unknown }[] = [];
const soon = { deadlineMs: 10_000 };
afterEach(async () => {
	for (const each of opened.splice(0).reverse()) await each.stop();
});

describe.skipIf(!redisForTests())("an edge with the nodes in Redis", () => {
	it("finds those that join, sends no clients to those that drain, forgets those that stop, and goes on without Redis", async () => {
		const redis = await RedisServer.start();
		opened.push({ stop: () => redis.stop() });
		const cli = (...args: readonly string[]) => spawnSync("redis-cli", ["-p", String(redis.port), ...args], { encoding: "utf8" }).stdout;
		/** As a node writes it at its heartbeat. */
		const write = (node: FakeNode, changes: Readonly<Record<string, unknown>> = {}) => {
			const numbers = ["shards", "messagesPerSecond", "bytesPerSecond", "deliveriesPerSecond", "cpu", "memoryBytes", "loopLagMs", "term"];
			const record = {
				...Object.fromEntries(numbers.map((name) => [name, 1])),
				...{ id: node.name, instance: node.name, address: node.address, region: "", version: "0", status: "serving", health: "healthy" },
				...{ connections: 0, maxConnections: 100, heartbeatAt: Date.now(), process: {}, ...changes },
			};
			cli("SET", `ws:cluster:node:${node.name}`, JSON.stringify(record), "PX", "60000");
			cli("ZADD", "ws:cluster:nodes", String(Date.now() + 60_000), node.name);
			cli("PUBLISH", "ws:cluster:events", JSON.stringify({ type: "updated", node: node.name, at: 1 }));
		};
		const rig = await EdgeRig.start({ redisAddress: redis.url, selectStrategy: "round_robin" });
		opened.push(rig);
		const nodes = [await FakeNode.start("a"), await FakeNode.start("b"), await FakeNode.start("c")] as const;
		opened.push(...nodes);
		const names = async (count: number) => {
			const clients = await Promise.all(
				Array.from({ length: count }, async () => {
					const socket = new WebSocket(`ws://127.0.0.1:${rig.port}`);
					opened.push({ stop: () => socket.terminate() });
					await once(socket, "open");
					socket.send("who");
					return String((await once(socket, "message"))[0]).split(":")[0]!;
				}),
			);
			return [...new Set(clients)].sort().join();
		};

		write(nodes[0]);
		await rig.nodesUp(1);
		expect(await names(1)).toBe("a");
		write(nodes[1]);
		write(nodes[2]);
		await rig.nodesUp(3);
		expect(await names(6)).toBe("a,b,c");

		write(nodes[0], { status: "draining" });
		await rig.nodesUp(2);
		expect(await names(4)).toBe("b,c");

		write(nodes[1], { connections: 100 });
		await waitFor(async () => (await names(2)) === "c", { ...soon, what: "that b counts as full" });

		cli("DEL", "ws:cluster:node:a");
		cli("ZREM", "ws:cluster:nodes", "a");
		cli("PUBLISH", "ws:cluster:events", JSON.stringify({ type: "left", node: "a", reason: "stopped", at: 1 }));
		await waitFor(async () => !(await rig.edge.metrics()).includes('node="a"'), { ...soon, what: "that a is gone" });

		// Redis has lost its data, and b is the first to write its entry again: c still counts.
		cli("FLUSHALL");
		write(nodes[1]);
		await waitFor(async () => (await names(4)) === "b,c", { ...soon, what: "b and c" });

		await redis.end();
		await waitFor(async () => (await rig.metric("shardcast_redis_state", { state: "ready" })) === 0, { ...soon, what: "no Redis" });
		expect(await names(4)).toBe("b,c");
		const health = await httpRequest(`http://127.0.0.1:${rig.port}/health`);
		const reason = "cannot be reached, so the nodes are those that were known before";
		expect([health.status, health.body]).toEqual([200, expect.stringContaining(reason)]);

		const late = await EdgeRig.start({ redisAddress: redis.url });
		opened.push(late);
		const unknown = await httpRequest(`http://127.0.0.1:${late.port}/health`);
		expect([unknown.status, unknown.body]).toEqual([503, expect.stringContaining("cannot be reached, so no nodes are known yet")]);
		const refused = await httpRequest(`http://127.0.0.1:${late.port}/x`, { deadlineMs: 20_000 });
		expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "1"]);
	});
});
