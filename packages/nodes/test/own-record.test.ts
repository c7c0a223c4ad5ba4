import type { NodeFacts, NodeLoad } from "@shardcast/control";
import { RedisError } from "@shardcast/redis";
import { afterEach, expect, it } from "vitest";
import { Membership } from "../src/membership.ts";
import { nodeKeys } from "../src/node-keys.ts";

const facts: NodeFacts = {
	...{ address: "10.0.0.1:1", url: "ws://10.0.0.1:1", region: "eu", version: "1", status: "starting", health: "healthy" },
	...{ shards: 1, maxConnections: 10, weight: 1 },
};
const load: NodeLoad = {
	...{ connections: 1, messagesPerSecond: 0, bytesPerSecond: 0, deliveriesPerSecond: 0 },
	...{ cpu: 0, memory: 0.5, memoryBytes: 1, loopLagMs: 0 },
};
let membership: Membership | null = null;
afterEach(() => membership?.leave());

it("a node sees itself as it is now, also before it has joined and while Redis is away", async () => {
	let answer: unknown[] | null = null;
	let now = { facts, load };
	const node = new Membership({
		redis: {
			run: async () => {
				if (answer === null) throw new RedisError("unavailable", "Redis is away");
				return answer;
			},
			pipeline: async () => [],
			send: async () => [],
			subscribe: async () => undefined,
			onRestored: () => () => undefined,
			state: "ready",
			problem: null,
		},
		keys: nodeKeys("ws", false),
		own: { id: "n1", instance: "a", process: { boot: "b", pidNamespace: "p", pid: 1, startTicks: null } },
		heartbeatMs: 60_000,
		timeoutMs: 60_000,
		describe: () => now,
		onState: () => undefined,
		onChanges: () => undefined,
	});
	membership = node;
	const own = () => node.nodes().nodes.map(({ status, connections, heartbeatAt }) => ({ status, connections, heartbeatAt }));

	await node.claim();
	expect(own()).toEqual([{ status: "starting", connections: 1, heartbeatAt: 0 }]);
	now = { facts: { ...facts, status: "serving" }, load: { ...load, connections: 2 } };
	await node.claim();
	expect(node.state).toBe("joining");
	expect(own(), "before it has joined").toEqual([{ status: "serving", connections: 2, heartbeatAt: 0 }]);

	answer = ["ok", 5000, 7, 1, [], "n1", "65000"];
	await node.claim();
	expect(node.state).toBe("member");
	expect(own()).toEqual([{ status: "serving", connections: 2, heartbeatAt: 5000 }]);

	answer = null;
	now = { facts: { ...facts, status: "draining" }, load: { ...load, connections: 9 } };
	await node.claim();
	expect(own(), "while Redis is away").toEqual([{ status: "draining", connections: 9, heartbeatAt: 5000 }]);
	expect(node.nodes().totals).toMatchObject({ nodes: 1, connections: 9 });
});
