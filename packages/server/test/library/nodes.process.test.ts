import { silentLog } from "@shardcast/telemetry";
import { httpRequest, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createServer, type Server } from "../../src/library/server.ts";

describe.skipIf(!redisForTests())("servers of the library as nodes", () => {
	let redis: RedisServer;
	beforeAll(async () => {
		redis = await RedisServer.start();
	});
	afterAll(() => redis.stop());

	const create = (nodeId: string, changes: Parameters<typeof createServer>[0] = {}): Server =>
		createServer(
			{ addr: "127.0.0.1:0", redisAddress: redis.url, nodeId, nodeHeartbeatMs: 200, shutdownTimeoutMs: 2000, ...changes },
			{ log: silentLog(), statusLine: false },
		);

	it("report other nodes by events, and list them for authorised requests", async () => {
		const told: string[] = [];
		const one = create("one", { nodeRegion: "here" });
		one.on("nodeJoined", ({ id, status }) => told.push(`joined ${id} ${status}`));
		one.on("nodeUpdated", ({ id, status }) => told.push(`updated ${id} ${status}`));
		one.on("nodeLeft", ({ id }, reason) => told.push(`left ${id} ${reason}`));
		const two = create("two", { apiKey: "a-key-of-the-api" });
		try {
			expect(one.nodes()?.state).toBe("joining");
			await one.run();
			await two.run();
			const sees = (server: Server) => server.nodes()!.nodes.map(({ id, region, status }) => `${id} ${region} ${status}`);
			await waitFor(() => sees(two).length === 2 && sees(one).includes("two  serving"), { deadlineMs: 10_000, what: "both together" });
			expect(sees(two)).toEqual(["one here serving", "two  serving"]);
			const ask = (server: Server, headers = {}) => httpRequest(`http://127.0.0.1:${server.port}/cluster/nodes`, { headers });
			expect(JSON.parse((await ask(one)).body)).toMatchObject({ id: "one", state: "member", totals: { nodes: 2 } });
			expect((await ask(two)).status, "it has a key").toBe(401);
			expect((await ask(two, { "x-api-key": "a-key-of-the-api" })).status).toBe(200);
			expect(one.selectNode("10.0.0.1", "ann", { region: "here" }).id, "by region").toBe("one");
			expect(one.selectNode("10.0.0.1", "ann", { avoid: ["one"] })).toMatchObject({ id: "two", url: `ws://127.0.0.1:${two.port}` });
			const select = (query: string) => httpRequest(`http://127.0.0.1:${two.port}/cluster/select?${query}`);
			expect(JSON.parse((await select("region=here")).body), "without a key").toEqual({
				id: "one",
				address: `127.0.0.1:${one.port}`,
				url: `ws://127.0.0.1:${one.port}`,
				region: "here",
			});
			await two.shutdown();
			expect(await one.control.metrics()).toMatch(/shardcast_node_selections_total\{result="selected",shard="0"\} 2/);
			await waitFor(() => told.includes("left two stopped"), { deadlineMs: 10_000, what: `"left two stopped" among ${told}` });
			expect(told[0]).toMatch(/^joined two (starting|serving)$/);
		} finally {
			await Promise.all([one.shutdown(), two.shutdown()]);
		}
	});

	it("a server without Redis is not a node", async () => {
		const alone = create("alone", { redisAddress: undefined });
		try {
			await alone.run();
			expect(alone.nodes()).toBeNull();
			const { status, body } = await httpRequest(`http://127.0.0.1:${alone.port}/cluster/nodes`);
			expect([status, body]).toEqual([404, expect.stringContaining("this machine works alone")]);
			expect((await httpRequest(`http://127.0.0.1:${alone.port}/cluster/select`)).status).toBe(404);
		} finally {
			await alone.shutdown();
		}
	});

	it("a node does not start if its id is taken, or if Redis refuses its login", async () => {
		const first = create("same");
		const second = create("same");
		const login = create("login", { redisAddress: redis.url.replace("//", "//nobody:wrong@") });
		try {
			await first.run();
			await expect(second.run()).rejects.toThrow(/^--node-id: another machine has the id "same", 127\.0\.0\.1:\d+, which is there/);
			await expect(login.run()).rejects.toThrow(
				/^--redis-url: cannot use Redis at redis:\/\/127\.0\.0\.1:\d+: it refuses the login: WRONGPASS/,
			);
		} finally {
			await Promise.all([first.shutdown(), second.shutdown(), login.shutdown()]);
		}
	});
});
