import { pidNamespace } from "@shardcast/native";
import { RedisError, Script } from "@shardcast/redis";
import { RedisCluster, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { NodeIdTaken } from "../src/membership.ts";
import { nodeKeys } from "../src/node-keys.ts";
import { ScaleEvents } from "../src/scale/scale-events.ts";
import { Machine, type MachineOptions, waitMs } from "./support/machines.ts";

describe.skipIf(!redisForTests())("membership", () => {
	let redis: RedisServer;
	const machines: Machine[] = [];
	const machine = (id: string, more: MachineOptions = {}, url = redis.url): Machine => {
		const made = new Machine(url, id, more);
		machines.push(made);
		return made;
	};
	const joined = (...ids: readonly string[]) => Promise.all(ids.map((id) => machine(id).join()));

	beforeAll(async () => {
		redis = await RedisServer.start();
	});
	afterEach(async () => {
		redis.signal("SIGCONT");
		await Promise.all(machines.splice(0).map((each) => each.leave()));
	});
	afterAll(() => redis.stop());

	it("each is told once of the others, of what changes, and at once of one that leaves", async () => {
		const [a] = await joined("a");
		const [b] = await joined("b");
		await a.hears("+b");
		await b.hears("+a");
		b.status = "draining";
		b.membership.changed();
		await a.hears("~b draining");
		const leftMs = performance.now();
		await b.leave();
		await a.hears("-b stopped");
		expect(performance.now() - leftMs, "sooner than by the node timeout").toBeLessThan(waitMs);
		expect(a.told).toEqual(["member", "+b", "~b draining", "-b stopped"]);
		expect([a.reported, b.reported], "by the node that did it").toEqual([["+a"], ["+b", "~b draining", "-b stopped"]]);
		expect(b.told).toEqual(["member", "+a", "left"]);
		expect(a.membership.counts).toMatchObject({ joined: 1, updated: 1, left: 1, cutOff: 0, taken: 0 });
	});

	it("one whose first heartbeat gets no reply is reported as joined, not as updated", async () => {
		const a = machine("a");
		await a.redis.ready(waitMs);
		const run = a.redis.run.bind(a.redis);
		vi.spyOn(a.redis, "run").mockImplementationOnce(async (...command) => {
			await run(...command);
			throw new RedisError("interrupted", "no answer");
		});
		await a.join();
		await a.isIn("member");
		expect(a.reported).toEqual(["+a"]);
	});

	it("load is told with each heartbeat, and changes of it are no events; totals stand in Redis", async () => {
		const [a, b] = await joined("a", "b");
		await a.hears("+b");
		b.connections = 41;
		await waitFor(() => a.membership.nodes().totals.connections === 42, { deadlineMs: waitMs, what: "b's connections in a's totals" });
		expect(a.told).toEqual(["member", "+b"]);
		await waitFor(async () => (await a.redis.send("m", ["HGET", "ws:cluster:metrics", "connections"])) === "42", {
			deadlineMs: waitMs,
			what: "the totals in Redis",
		});
	});

	it("one that vanishes has left after the node timeout, and is removed and told of once, though many look", async () => {
		// All the same: whoever is late for so long because this process stood still removes nobody then, and so c is not missed before it vanishes.
		const [a, b, c] = await Promise.all(["a", "b", "c"].map((id) => machine(id, { timeoutMs: 2000 }).join()));
		await Promise.all([a.hears("+c"), b.hears("+c")]);
		const events: string[] = [];
		const watch = machine("watch");
		await watch.redis.ready(waitMs);
		await watch.redis.subscribe("ws:cluster:events", (message) => events.push(String(message)));
		c.vanish();
		await Promise.all([a.hears("-c timeout"), b.hears("-c timeout")]);
		const index = async () => (await a.redis.send("n", ["ZRANGE", "ws:cluster:nodes", "0", "-1"])) as string[];
		await waitFor(async () => !(await index()).includes("c"), { deadlineMs: waitMs, what: "that c is no more in the index" });
		expect(events.filter((event) => /"left"/.test(event) && /"c"/.test(event))).toHaveLength(1);
		expect([...a.reported, ...b.reported].sort(), "by one of them").toEqual(["+a", "+b", "-c timeout"]);
	});

	it("clocks of the machines do not matter", async () => {
		const [a] = await joined("a");
		const now = Date.now();
		vi.spyOn(Date, "now").mockImplementation(() => now - 86_400_000);
		const [b] = await joined("b");
		await a.hears("+b");
		vi.spyOn(Date, "now").mockImplementation(() => now + 86_400_000);
		const looks = a.membership.counts.sent;
		await waitFor(() => a.membership.counts.sent > looks + 4, { deadlineMs: waitMs, what: "some heartbeats" });
		expect([a.told, b.told]).toEqual([
			["member", "+b"],
			["member", "+a"],
		]);
	});

	it("when Redis hangs for longer than the node timeout, each knows that it is cut off; afterwards nobody has left", async () => {
		const [a, b] = await Promise.all(["a", "b"].map((id) => machine(id, { timeoutMs: 2500 }).join()));
		await Promise.all([a.hears("+b"), b.hears("+a")]);
		redis.signal("SIGSTOP");
		await Promise.all([a.isIn("cutOff"), b.isIn("cutOff")]);
		expect(a.membership.reason).toMatch(/^it is cut off from the others: /);
		expect(
			a.membership.nodes().nodes.map(({ id }) => id),
			"as last known",
		).toEqual(["a", "b"]);
		redis.signal("SIGCONT");
		await Promise.all([a.isIn("member"), b.isIn("member")]);
		const looks = a.membership.counts.sent;
		await waitFor(() => a.membership.counts.sent > looks + 4, { deadlineMs: waitMs, what: "more heartbeats" });
		expect([a.toldOfOthers, b.toldOfOthers]).toEqual([["+b"], ["+a"]]);
		expect([a.reported, b.reported], "nobody has missed them").toEqual([["+a"], ["+b"]]);
		expect(a.membership.counts.cutOff).toBeGreaterThan(0);
		expect(a.membership.counts.cutOffMs).toBeGreaterThan(0);
	});

	it("when Redis comes back with nothing in it, those that are there are not told of again, and one that is gone has left", {
		tags: ["long"],
	}, async () => {
		const own = await RedisServer.start();
		try {
			// Longer than the time between two attempts to reach Redis, at most 2 s: so long each waits for the other one.
			const [a, b, c] = ["a", "b", "c"].map((id) => machine(id, { timeoutMs: 5000 }, own.url));
			await Promise.all([a.join(), b.join(), c.join()]);
			await Promise.all([a.hears("+c"), b.hears("+c"), a.hears("+b"), b.hears("+a")]);
			await own.end();
			c.vanish();
			await waitFor(() => a.redis.state === "connecting", { deadlineMs: waitMs, what: "the loss of Redis" });
			await own.start();
			await Promise.all([a.hears("-c timeout"), b.hears("-c timeout")]);
			for (const [one, other] of [
				[a, "b"],
				[b, "a"],
			] as const)
				expect(one.toldOfOthers.filter((line) => line.startsWith(`-${other}`) || line.startsWith(`+${other}`))).toEqual([`+${other}`]);
			await Promise.all([a.leave(), b.leave(), c.leave()]);
		} finally {
			await own.stop();
		}
	});

	it("one that had expired itself removes nobody until its heartbeats have come for a whole node timeout: Redis may have been away for all", async () => {
		const timeoutMs = 1000;
		await machine("a", { timeoutMs }).join();
		const events: { type: string; node: string; at: number }[] = [];
		const watch = machine("watch");
		await watch.redis.ready(waitMs);
		await watch.redis.subscribe("ws:cluster:events", (message) => events.push(JSON.parse(String(message))));
		const expire = new Script("redis.call('DEL', KEYS[1]); redis.call('ZADD', KEYS[2], 1, 'ghost')");
		await watch.redis.run(expire, ["ws:cluster:node:a", "ws:cluster:nodes"], []);
		const the = (type: string, node: string) => events.find((event) => event.type === type && event.node === node);
		await waitFor(() => the("left", "ghost") !== undefined, { deadlineMs: waitMs, what: "the end of the ghost" });
		expect(the("joined", "a"), "before it removes others, it joins").toBeDefined();
		expect(the("left", "ghost")!.at - the("joined", "a")!.at).toBeGreaterThanOrEqual(timeoutMs);
	});

	it("an id is refused while its holder is there, wherever that runs", async () => {
		await joined("a");
		const second = machine("a");
		await expect(second.join()).rejects.toThrow(NodeIdTaken);
		expect(second.membership.state).toBe("taken");
	});

	it("an id of a machine that has vanished is free when its entry has expired, and at once when it was a dead process here", async () => {
		const first = await machine("a", { timeoutMs: 700 }).join();
		const [watcher] = await joined("w");
		await watcher.hears("+a");
		first.vanish();
		const second = machine("a");
		await second.join();
		expect(second.membership.state).toBe("member");
		expect(second.reported, "nobody else has reported the end of the first").toEqual(["-a replaced", "+a"]);
		await second.leave();

		const boot = { boot: "this one", pidNamespace: pidNamespace() };
		const dead = machine("d", { process: { ...boot, pid: 2 ** 22 + 1, startTicks: 5 } });
		await dead.join();
		await watcher.hears("+d");
		dead.vanish();
		const next = machine("d", { process: { ...boot, pid: process.pid, startTicks: 6 } });
		await next.join();
		expect(next.membership.state).toBe("member");
		await watcher.hears("-d replaced");
		expect(next.reported).toEqual(["-d replaced", "+d"]);
	});

	it("one whose id was taken while it was away is no member until it is free again", async () => {
		const [a] = await joined("a");
		await a.redis.send("x", ["SET", "ws:cluster:node:a", JSON.stringify({ id: "a", instance: "other" }), "PX", "60000"]);
		await a.isIn("taken");
		expect(a.membership.reason).toMatch(/^another machine has this id/);
		await a.redis.send("x", ["PEXPIRE", "ws:cluster:node:a", "1"]);
		await a.isIn("member");
	});

	it("what others have written into the keys does no harm", async () => {
		const [a] = await joined("a");
		const later = String(Date.now() + 3_600_000);
		await a.redis.send("x", ["ZADD", "ws:cluster:nodes", later, "no-entry", later, "no-json", later, "bad"]);
		await a.redis.send("x", ["SET", "ws:cluster:node:no-json", "{", "PX", "5000"]);
		await a.redis.send("x", ["SET", "ws:cluster:node:bad", '{"id":7}', "PX", "5000"]);
		await a.redis.send("x", ["PUBLISH", "ws:cluster:events", "not json"]);
		const looks = a.membership.counts.sent;
		await waitFor(() => a.membership.counts.sent > looks + 3, { deadlineMs: waitMs, what: "more heartbeats" });
		expect(a.told).toEqual(["member"]);
		await a.redis.send("x", ["DEL", "ws:cluster:nodes"]);
	});

	it("joins, stays and leaves although another program writes to its own key", async () => {
		const contents = [
			["SET", "{"],
			["SET", "[1]"],
			["SET", '{"instance":7}'],
			["HSET", "field", "value"],
		] as const;
		const first = machine("a");
		await first.redis.ready(waitMs);
		const write = async ([command, ...rest]: readonly string[]) => {
			await first.redis.send("x", ["DEL", "ws:cluster:node:a"]);
			await first.redis.send("x", [command!, "ws:cluster:node:a", ...rest]);
		};
		await write(contents[3]);
		await first.join();
		for (const content of contents) {
			await write(content);
			const isBack = async () => JSON.parse(String(await first.redis.send("x", ["GET", "ws:cluster:node:a"]).catch(() => "{}")));
			await waitFor(async () => (await isBack()).id === "a", { deadlineMs: waitMs, what: `its entry instead of ${content}` });
		}
		expect(first.told).toEqual(["member"]);
		expect(first.membership.counts.failed).toBe(0);
		await write(contents[0]);
		await first.leave();
	});

	it("an entry under another id is none, and one that expires far too late is removed like one that has expired", {
		tags: ["long"],
	}, async () => {
		const [a, b] = [await machine("a", { timeoutMs: 3000 }).join(), await machine("b", { timeoutMs: 3000 }).join()];
		await Promise.all([a.hears("+b"), b.hears("+a")]);
		const own = String(await a.redis.send("x", ["GET", "ws:cluster:node:a"]));
		await a.redis.send("x", ["SET", "ws:cluster:node:c", own, "PX", "60000"]);
		// As if the clock of Redis had been an hour ahead when this node died.
		await a.redis.send("x", ["SET", "ws:cluster:node:d", own.replaceAll('"id":"a"', '"id":"d"'), "PX", "3600000"]);
		const later = String(Date.now() + 3_600_000);
		await a.redis.send("x", ["ZADD", "ws:cluster:nodes", later, "c", later, "d"]);
		await Promise.all([a, b].map((each) => each.hears("+d")));
		await Promise.all([a, b].map((each) => each.hears("-d timeout")));
		expect(a.told).toEqual(["member", "+b", "+d", "-d timeout"]);
		const left = await a.redis.send("x", ["ZRANGE", "ws:cluster:nodes", "0", "-1"]);
		expect((left as string[]).sort()).toEqual(["a", "b"]);
		await Promise.all([a.leave(), b.leave()]);
	});

	it("a scale event is announced once for all nodes, and again only when the load was back", async () => {
		const [a, b] = await joined("a", "b");
		await Promise.all([a.hears("+b"), b.hears("+a")]);
		const published: string[] = [];
		const watch = machine("watch");
		await watch.redis.ready(waitMs);
		await watch.redis.subscribe("ws:cluster:events", (message) => published.push(String(message)));
		const told: string[] = [];
		let nowMs = 0;
		const rules = { upAt: 0.8, downAt: 0.3, minNodes: 1, maxNodes: 9, holdMs: 60_000 };
		const all = [a, b].map(
			({ redis, id }) =>
				new ScaleEvents({
					...{ redis, keys: nodeKeys("ws", false), id, rules, nowMs: () => nowMs },
					onEvent: ({ type, node }) => told.push(`${type} by ${node}`),
				}),
		);
		const look = async (connections: number) => {
			nowMs += 60_000;
			const nodes = [a, b].map((each) => ({ ...each.membership.nodes().nodes[0]!, id: each.id, connections }));
			await Promise.all(all.map((each) => each.look(nodes)));
		};
		for (let holds = 0; holds < 3; holds++) await look(9);
		expect(told, "by one of both").toEqual([expect.stringMatching(/^scaleUp by [ab]$/)]);
		const later = new Script("redis.call('HINCRBY', KEYS[1], 'at', -120000)");
		await a.redis.run(later, ["ws:cluster:scale"], []);
		await look(9);
		expect(told.length, "the same").toBe(1);
		await look(5);
		for (let holds = 0; holds < 2; holds++) await look(9);
		expect(told.length, "after the load was back").toBe(2);
		await look(1);
		for (let holds = 0; holds < 3; holds++) await look(1);
		expect(told.length, "within the hold time").toBe(2);
		await a.redis.run(later, ["ws:cluster:scale"], []);
		await look(1);
		expect(told.at(-1)).toMatch(/^scaleDown by/);
		const events = () => published.map((text) => JSON.parse(text)).filter(({ type }) => type.startsWith("scale"));
		await waitFor(() => events().length === 3, { deadlineMs: waitMs, what: "three scale events in Redis" });
		expect(events()[0]).toEqual({
			...{ type: "scaleUp", node: told[0]!.at(-1), nodes: 2, connections: 18, maxConnections: 20, load: 0.9 },
			at: expect.any(Number) as number,
		});
		expect([a.toldOfOthers, b.toldOfOthers], "no change of the nodes").toEqual([["+b"], ["+a"]]);
	});

	it("works on a Redis Cluster: all keys are in one slot", { tags: ["long"] }, async () => {
		const cluster = await RedisCluster.start(3);
		try {
			const [a, b] = ["a", "b"].map((id) => machine(id, {}, cluster.url));
			await Promise.all([a.join(), b.join()]);
			await Promise.all([a.hears("+b"), b.hears("+a")]);
			await b.leave();
			await a.hears("-b stopped");
			await a.leave();
		} finally {
			await cluster.stop();
		}
	});
});
