import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { defaultConfig, loadConfig, parseRedisAddress } from "@shardcast/config";
import { Redis } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";
import { httpRequest, LibraryClient, RedisServer, redisForTests, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { WebSocket } from "ws";
import { createServer, type Server } from "../../src/library/server.ts";
import { tokenOf, tokenSecret } from "../support/tokens.ts";

describe.skipIf(!redisForTests())("servers of the library as nodes", () => {
	let redis: RedisServer;
	let admin: Redis;
	beforeAll(async () => {
		redis = await RedisServer.start();
		const times = { connectTimeoutMs: 5000, answerTimeoutMs: 5000 };
		admin = new Redis(
			{ address: parseRedisAddress(redis.url), tls: null, ...times, clientName: "test", waitingMax: 10 },
			silentLog(),
		).open();
	});
	afterAll(() => {
		admin.close();
		return redis.stop();
	});

	// One that does not reach Redis in time starts alone, and one that does not stop in time cuts off: on a busy machine a second or two are short.
	const patient = { redisConnectTimeoutMs: 10_000, shutdownTimeoutMs: 10_000 };
	const create = (nodeId: string, changes: Parameters<typeof createServer>[0] = {}): Server =>
		createServer(
			{ addr: "127.0.0.1:0", redisAddress: redis.url, nodeId, nodeHeartbeatMs: 200, ...patient, ...changes },
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
			await waitFor(() => sees(two).includes("one here serving") && sees(one).includes("two  serving"), {
				deadlineMs: 10_000,
				what: "both together",
			});
			expect(sees(two)).toEqual(["one here serving", "two  serving"]);
			const ask = (server: Server, headers = {}) => httpRequest(`http://127.0.0.1:${server.port}/cluster/nodes`, { headers });
			expect(JSON.parse((await ask(one)).body)).toMatchObject({ id: "one", state: "member", totals: { nodes: 2 } });
			expect((await ask(two)).status, "it has a key").toBe(401);
			expect((await ask(two, { "x-api-key": "a-key-of-the-api" })).status).toBe(200);
			expect((await one.selectNode("10.0.0.1", "ann", { region: "here" })).id, "by region").toBe("one");
			expect(await one.selectNode("10.0.0.1", "ann", { avoid: ["one"] })).toMatchObject({ id: "two", url: `ws://127.0.0.1:${two.port}` });
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

	it("send messages to a user, to a room and to all: each connection of every node gets each once", async () => {
		const channelWithoutNamespace = { ...defaultConfig().channelWithoutNamespace, allowSubscribeForClient: true };
		const config = { apiKey: "a-key-of-the-api", requireAuth: false, tokenHmacSecret: tokenSecret, channelWithoutNamespace };
		const servers = [create("north", config), create("south", config)] as const;
		const [north, south] = servers;
		const clients: { close(): void }[] = [];
		/** What each connection gets, by name. */
		const got = new Map<string, string[]>();
		const listenRaw = async (name: string, server: Server, query: string) => {
			const texts: string[] = [];
			got.set(name, texts);
			const socket = new WebSocket(`${server.url}/?${query}`);
			socket.on("message", (data) => texts.push((data as Buffer).toString()));
			clients.push(socket);
			await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
		};
		const listen = async (name: string, server: Server, user: string, room: string) => {
			const texts: string[] = [];
			got.set(name, texts);
			const token = await tokenOf({ sub: user });
			const client = new Centrifuge(`${server.url}/connection/websocket`, { websocket: WebSocket, token });
			client.on("message", ({ data }) => texts.push(JSON.stringify(data)));
			const subscription = client.newSubscription(room);
			subscription.on("publication", ({ data }) => texts.push(JSON.stringify(data)));
			subscription.subscribe();
			client.connect();
			clients.push({ close: () => client.disconnect() });
			await subscription.ready(10_000);
		};
		try {
			await north.run();
			await south.run();
			const ann = await tokenOf({ sub: "ann" });
			await listen("ann north", north, "ann", "lobby");
			await listen("ann south", south, "ann", "lobby");
			await listenRaw("ann raw", south, `channels=lobby&token=${ann}`);
			await listen("bob south", south, "bob", "other");
			await listenRaw("anonymous", north, "channels=other");
			/** Until a message of one node reaches the other: pub/sub has begun. */
			const until = async (server: Server, name: string) => {
				await waitFor(
					() => {
						void server.broadcastToUser("ann", { type: "ready", payload: null });
						return got.get(name)!.length > 0;
					},
					{ deadlineMs: 10_000, what: "messages between the nodes", everyMs: 50 },
				);
			};
			await until(north, "ann south");
			await until(south, "ann north");

			const all = ["ann north", "ann south", "ann raw", "bob south", "anonymous"];
			const anns = all.slice(0, 3);
			const expected = new Map<string, string[]>(all.map((name) => [name, []]));
			const expectAt = (names: readonly string[], type: string) => {
				for (const name of names) expected.get(name)!.push(JSON.stringify({ type, payload: { n: 1 } }));
			};
			const message = (type: string, priority?: "high") => ({ type, payload: { n: 1 }, ...(priority && { priority }) });
			expect(await north.broadcastToUser("ann", message("user"))).toEqual({ outcome: "accepted" });
			expect(await south.broadcastToUser("ann", message("user high", "high"))).toEqual({ outcome: "accepted" });
			expectAt(anns, "user");
			expectAt(anns, "user high");
			expect(await north.broadcastToRoom("lobby", message("room", "high"))).toEqual({ outcome: "accepted" });
			expectAt(anns, "room");
			expect(await south.broadcast(message("all"))).toEqual({ outcome: "accepted" });
			expectAt(all, "all");
			const headers = { "x-api-key": config.apiKey };
			const post = async (method: string, body: object) => {
				const answer = await httpRequest(`http://127.0.0.1:${north.port}/api/${method}`, {
					method: "POST",
					headers,
					body: JSON.stringify(body),
				});
				expect([answer.status, JSON.parse(answer.body)]).toEqual([200, { result: {} }]);
			};
			await post("send_to_user", { user: "bob", type: "api user", data: { n: 1 } });
			expectAt(["bob south"], "api user");
			await post("send_to_all", { type: "api all", data: { n: 1 }, priority: "high" });
			expectAt(all, "api all");
			await post("publish", { channel: "other", type: "api room", data: { n: 1 }, priority: "high" });
			expectAt(["bob south", "anonymous"], "api room");
			const command = (method: string, params: object) => JSON.stringify({ method, params: { ...params, data: { n: 1 } } });
			for (const [text, names, type] of [
				[command("send_to_user", { user: "ann", type: "redis user", priority: "high" }), anns, "redis user"],
				[command("send_to_all", { type: "redis all" }), all, "redis all"],
				[command("publish", { channel: "lobby", type: "redis room" }), anns, "redis room"],
			] as const) {
				expect(await admin.send(null, ["PUBLISH", "ws:publish", text]), "both nodes").toBe(2);
				expectAt(names, type);
			}
			const wanted = (name: string) => [...expected.get(name)!].sort();
			const have = (name: string) =>
				got
					.get(name)!
					.filter((text) => !text.includes('"ready"'))
					.sort();
			await waitFor(() => all.every((name) => have(name).length >= wanted(name).length), {
				deadlineMs: 10_000,
				what: "all messages at all connections",
			});
			// Whatever would come twice has come by now: the last message of each way is behind it.
			await north.broadcast(message("end of north"));
			await south.broadcast(message("end of south"));
			await waitFor(() => all.every((name) => have(name).filter((text) => text.includes("end of")).length === 2), {
				deadlineMs: 10_000,
				what: "the ends",
			});
			for (const name of all)
				expect(
					have(name).filter((text) => !text.includes("end of")),
					name,
				).toEqual(wanted(name));

			await north.users.blockUser("ann");
			await waitFor(() => south.control.stats().connections === 1, {
				deadlineMs: 10_000,
				what: "ann's connections to the other node closed",
			});
			await south.users.unblockUser("ann");
			await listen("ann again", north, "ann", "lobby");
			await south.users.revokeToken("unknown", { expireAt: Math.floor(Date.now() / 1000) + 60 });
			await south.users.invalidateUserTokens("ann", Math.floor(Date.now() / 1000) + 60);
			expect(await south.users.refresh({ user: "bob" }, { info: { x: 1 } })).toBe(1);
			expect(await north.users.disconnect("bob")).toBe(1);
		} finally {
			for (const client of clients) client.close();
			await Promise.all(servers.map((server) => server.shutdown()));
		}
	});

	it("webhooks tell once in the cluster that a node has joined, changed and left", async () => {
		const told: string[] = [];
		const receiver = createHttpServer((request, response) => {
			let body = "";
			request.on("data", (chunk) => {
				body += String(chunk);
			});
			request.on("end", () => {
				const { events } = JSON.parse(body) as { events: readonly { type: string; node?: string; status?: string; reason?: string }[] };
				for (const { type, node, status, reason } of events) if (type !== "start") told.push([type, node, status ?? reason].join(" "));
				response.end();
			});
		});
		await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
		const endpoint = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
		const target = { name: "nodes", endpoint, secret: "a-secret-of-16-characters", batch_delay: 0 };
		const { webhooks } = loadConfig({ environment: { SHARDCAST_WEBHOOKS: JSON.stringify([target]) } }).config;
		const [first, second] = ["pine", "rowan"].map((id) => create(id, { webhooks })) as [Server, Server];
		try {
			await first.run();
			await second.run();
			await waitFor(() => second.nodes()!.nodes.length === 2 && first.nodes()!.nodes.length === 2, {
				deadlineMs: 10_000,
				what: "both together",
			});
			// On a busy machine it may be told to stop before it has told that it serves.
			await waitFor(() => told.includes("node_updated rowan serving"), { deadlineMs: 10_000, what: `its start among ${told}` });
			await second.shutdown();
			await waitFor(() => told.includes("node_left rowan stopped"), { deadlineMs: 10_000, what: `the end of one among ${told}` });
			await first.shutdown();
			const about = (type: string) => told.filter((line) => line.startsWith(type)).sort();
			expect(about("node_joined")).toEqual(["node_joined pine starting", "node_joined rowan starting"]);
			expect(about("node_left")).toEqual(["node_left pine stopped", "node_left rowan stopped"]);
			expect(about("node_updated rowan")).toContain("node_updated rowan serving");
		} finally {
			await Promise.all([first.shutdown(), second.shutdown()]);
			await new Promise((resolve) => receiver.close(resolve));
		}
	});

	it("a user gets the same node from all nodes, and another one when that node is gone", async () => {
		const servers = ["ash", "birch", "cedar"].map((id) => create(id, { affinity: "user" }));
		try {
			for (const server of servers) await server.run();
			await waitFor(() => servers.every((server) => server.nodes()!.nodes.filter(({ status }) => status === "serving").length === 3), {
				deadlineMs: 10_000,
				what: "all three together",
			});
			const users = Array.from({ length: 12 }, (_, index) => `user ${index}`);
			const nodesOf = async (some: readonly Server[]) => {
				const found = await Promise.all(users.map((user) => Promise.all(some.map((server) => server.selectNode("10.0.0.1", user)))));
				return found.map((nodes) => {
					const ids = new Set(nodes.map(({ id }) => id));
					expect(ids.size, `answers of ${some.length} nodes that are asked at once`).toBe(1);
					return [...ids][0]!;
				});
			};
			const first = await nodesOf(servers);
			expect(new Set(first).size).toBeGreaterThan(1);
			expect(await nodesOf(servers)).toEqual(first);
			const [left, ...rest] = servers as [Server, ...Server[]];
			await left.shutdown();
			await waitFor(() => rest.every((server) => server.nodes()!.nodes.length === 2), { deadlineMs: 10_000, what: "the end of one" });
			const next = await nodesOf(rest);
			expect(next).not.toContain("ash");
			expect(
				next.filter((id, index) => id !== first[index]),
				"only its users have moved",
			).toHaveLength(first.filter((id) => id === "ash").length);
			const [birch] = rest as [Server];
			expect(await birch.assignSession({ user: users[0]!, connection: "tab", node: "cedar", metadata: { a: 1 } })).toMatchObject({
				node: { id: "cedar" },
			});
			expect((await rest[1]!.selectNode("10.0.0.2", users[0]!)).id).toBe("cedar");
			await expect(birch.assignSession({ user: "x", node: "oak" })).rejects.toThrow('there is no node "oak"');
			expect(await birch.control.metrics()).toMatch(/shardcast_node_sessions_total\{outcome="new",[^}]*\} \d/);
		} finally {
			await Promise.all(servers.map((server) => server.shutdown()));
		}
	});

	it("a node that is cut off refuses new clients, if it is told to, and serves those that it has", async () => {
		const own = await RedisServer.start();
		const times = { nodeHeartbeatMs: 150, nodeTimeoutMs: 600, redisTimeoutMs: 300 };
		const strict = create("strict", { redisAddress: own.url, cutOffPolicy: "refuse", ...times });
		const lenient = create("lenient", { redisAddress: own.url, ...times });
		const open = (server: Server) =>
			new Promise<WebSocket | number>((resolve) => {
				const socket = new WebSocket(server.url);
				socket.once("open", () => resolve(socket));
				socket.once("unexpected-response", (_request, response) => resolve(response.statusCode!));
			});
		/** @throws when it is refused: then there is no socket to close. */
		const admitted = async (server: Server): Promise<WebSocket> => {
			const socket = await open(server);
			if (typeof socket === "number") throw new Error(`refused with ${socket}`);
			sockets.push(socket);
			return socket;
		};
		const sockets: WebSocket[] = [];
		try {
			await strict.run();
			await lenient.run();
			// One whose first heartbeat was answered too late for such short times joins with the next.
			await waitFor(() => [strict, lenient].every((server) => server.nodes()!.state !== "joining"), {
				deadlineMs: 10_000,
				what: "both to have joined",
			});
			// With such short times, a node of a busy machine may be cut off for a moment before Redis is gone.
			const first = await waitFor(() => admitted(strict), { deadlineMs: 10_000, what: "a client to be let in", everyMs: 50 });
			const got: string[] = [];
			first.on("message", (data) => got.push((data as Buffer).toString()));
			await own.end();
			await waitFor(() => strict.nodes()!.state === "cutOff" && lenient.nodes()!.state === "cutOff", {
				deadlineMs: 10_000,
				what: "both to be cut off",
			});
			await waitFor(async () => (await open(strict)) === 503, { deadlineMs: 10_000, what: "a refusal", everyMs: 50 });
			await admitted(lenient);
			const ready = async (server: Server) => JSON.parse((await httpRequest(`http://127.0.0.1:${server.port}/ready`)).body) as object;
			expect(await ready(strict)).toMatchObject({
				ready: false,
				reasons: [expect.stringContaining("node strict refuses clients: it is cut off")],
			});
			expect(await ready(lenient)).toEqual({ ready: true });
			await strict.publish("still here");
			await waitFor(() => got.includes("still here"), { deadlineMs: 10_000, what: "a message to the client that was there" });
			expect(await strict.control.metrics()).toMatch(/shardcast_connections_refused_total\{shard="0",reason="cut_off"\} [1-9]/);
			await own.start();
			await waitFor(() => admitted(strict), { deadlineMs: 10_000, what: "clients to be let in again", everyMs: 50 });
		} finally {
			for (const socket of sockets) socket.close();
			await Promise.all([strict.shutdown(), lenient.shutdown()]);
			await own.stop();
		}
	});

	it("a failover of one: it says so, tells its clients, and shuts down; the other one recommends nothing, and is not stopped as the last", async () => {
		const [one, two] = [create("one"), create("two")];
		try {
			await one.run();
			await two.run();
			await waitFor(() => [one, two].every((each) => each.nodes()!.nodes.filter(({ status }) => status === "serving").length === 2), {
				deadlineMs: 10_000,
				what: "both together",
			});
			expect(one.rebalanceRecommendation()).toMatchObject({ recommended: false, nodes: [{ id: "one" }, { id: "two" }] });
			expect(await one.rebalance({ tolerance: 0.5 })).toMatchObject({ clients: 0, moving: {} });
			expect(() => one.rebalanceRecommendation({ tolerance: 2 })).toThrow(/tolerance is 2; it must be a number from 0 to 1/);
			expect(() => one.failover("two", "now" as never)).toThrow(/the strategy is "now"; there are graceful, immediate, delayed/);
			await expect(one.failover("three")).rejects.toThrow('there is no node "three"; there are one, two');
			const client = await LibraryClient.open(`ws://127.0.0.1:${two.port}`);
			const told = new Promise((resolve) => two.once("failover", resolve));
			await one.failover("two", "immediate");
			expect(await told).toBe("immediate");
			expect((await client.closed).code).toBe(1001);
			expect(await two.shutdown(), "the same end").toBe(0);
			await waitFor(() => one.nodes()!.nodes.length === 1, { deadlineMs: 10_000, what: "that one is alone" });
			await expect(one.failover("one")).rejects.toThrow("no other node takes clients now");
		} finally {
			await Promise.all([one.shutdown(), two.shutdown()]);
		}
	});

	it("a failover of both at the same moment: one remains at least", async () => {
		const [one, two] = [create("one"), create("two")];
		const ended: unknown[] = [];
		for (const server of [one, two]) server.on("failover", () => ended.push(server));
		try {
			await Promise.all([one.run(), two.run()]);
			await waitFor(() => [one, two].every((each) => each.nodes()!.nodes.filter(({ status }) => status === "serving").length === 2), {
				deadlineMs: 10_000,
				what: "both together",
			});
			const outcomes = await Promise.allSettled([one.failover("one"), two.failover("two")]);
			const refused = outcomes.flatMap((outcome) => (outcome.status === "rejected" ? [String(outcome.reason)] : []));
			expect(refused.length).toBeGreaterThan(0);
			for (const each of refused) expect(each).toMatch(/no other node/);
			// Its promise is settled before it begins to stop.
			await waitFor(() => ended.length >= 2 - refused.length, { deadlineMs: 5000, what: "the end of one that was not refused" });
			expect(ended.length, "and it has not stopped").toBe(2 - refused.length);
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
			expect(() => alone.rebalanceRecommendation()).toThrow(/works alone/);
			await expect(alone.failover("alone")).rejects.toThrow(/works alone/);
		} finally {
			await alone.shutdown();
		}
	});

	it("nodes in two databases of one Redis are two clusters: neither messages nor orders pass between them", async () => {
		const got: string[] = [];
		const heard: string[] = [];
		const one = create("one", { redisAddress: `${redis.url}/1` });
		const two = create("two", { redisAddress: `${redis.url}/2` });
		const same = create("same", { redisAddress: `${redis.url}/2` });
		const sockets: WebSocket[] = [];
		try {
			for (const server of [one, two, same]) await server.run();
			await waitFor(() => two.nodes()!.nodes.length === 2, { deadlineMs: 10_000, what: "both nodes of the second database" });
			expect(one.nodes()!.nodes.map(({ id }) => id)).toEqual(["one"]);
			for (const [server, into] of [
				[one, got],
				[same, heard],
			] as const) {
				const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`);
				socket.on("message", (data) => into.push(String(data)));
				await new Promise((resolve) => socket.on("open", resolve));
				sockets.push(socket);
			}
			// They serve before Redis has confirmed what they subscribe to: first the channel of their messages, then this one.
			await waitFor(async () => ((await admin.send(null, ["PUBSUB", "NUMSUB", "ws/2:publish"])) as unknown[])[1] === 2, {
				deadlineMs: 10_000,
				what: "the subscriptions of both",
			});
			await two.publish("second");
			await admin.send(null, ["PUBLISH", "ws/2:publish", '{"method": "publish", "params": {"data": "by a backend"}}']);
			await waitFor(() => heard.length === 2, { deadlineMs: 10_000, what: "both messages in the second database" });
			await one.publish("first");
			await waitFor(() => got.length > 0, { deadlineMs: 10_000, what: "a message in the first" });
			expect(got).toEqual(["first"]);
		} finally {
			for (const socket of sockets) socket.terminate();
			await Promise.all([one.shutdown(), two.shutdown(), same.shutdown()]);
		}
	});

	it("a user of Redis with the permissions that the guide names is enough, and a node does not start with fewer", {
		tags: ["long"],
	}, async () => {
		const guide = readFileSync(join(import.meta.dirname, "../../../../docs/reference/nodes.md"), "utf8");
		const [, rules] = /^ACL SETUSER shardcast on >password (.+)$/m.exec(guide)!;
		const allow = (...more: readonly string[]) =>
			admin.send(null, ["ACL", "SETUSER", "limited", "reset", "on", ">secret", ...rules!.split(" "), ...more]);
		const redisAddress = redis.url.replace("//", "//limited:secret@");
		await admin.ready(10_000);
		for (const [fewer, missing] of [
			["-ssubscribe", /may not do "SSUBSCRIBE ws:cluster:control"/],
			["-evalsha", /NOPERM.*evalsha/],
			["resetkeys", /may not do .*ws:/],
			["resetchannels", /may not do .*ws:/],
			["-xadd", /may not do "XADD ws:cluster:revocations:changes/],
		] as const) {
			await allow(fewer);
			const refused = create("limited", { redisAddress });
			await expect(refused.run(), fewer).rejects.toThrow(missing);
			await refused.shutdown();
		}
		await allow();
		await admin.send(null, ["ACL", "LOG", "RESET"]);
		const { channelWithoutNamespace: plain } = defaultConfig();
		const channelNamespaces = [{ ...plain, name: "news", historySize: 10, historyTtlMs: 60_000 }];
		const [one, two] = [create("one", { redisAddress, channelNamespaces }), create("two", { redisAddress, channelNamespaces })];
		try {
			await Promise.all([one.run(), two.run()]);
			await waitFor(() => [one, two].every((server) => server.nodes()!.nodes.length === 2), { deadlineMs: 10_000, what: "both nodes" });
			await one.publish("with history", { channel: "news:1" });
			await one.publish("without");
			await one.users.blockUser("mallory");
			await waitFor(async () => Number(await admin.send(null, ["XLEN", "ws:stream:{news:1}"])) === 1, {
				deadlineMs: 10_000,
				what: "a publication in Redis",
			});
		} finally {
			await Promise.all([one.shutdown(), two.shutdown()]);
		}
		expect(await admin.send(null, ["ACL", "LOG"]), "what was refused").toEqual([]);
	});

	it("a node warns of a Redis that removes keys when its memory is full", async () => {
		await admin.ready(10_000);
		const set = (policy: string, bytes: string) => admin.send(null, ["CONFIG", "SET", "maxmemory-policy", policy, "maxmemory", bytes]);
		const log = silentLog();
		const warn = vi.spyOn(log, "warn");
		await set("allkeys-lru", "1gb");
		const server = createServer({ addr: "127.0.0.1:0", redisAddress: redis.url, nodeId: "one", ...patient }, { log, statusLine: false });
		try {
			await server.run();
		} finally {
			await set("noeviction", "0");
			await server.shutdown();
		}
		expect(warn.mock.calls.map(([text]) => text)).toContainEqual(
			expect.stringMatching(/^Redis at .* removes keys when its memory is full \(allkeys-lru\): .*noeviction/),
		);
	});

	it("a server that could not start, or was never started, leaves no connection to Redis behind", async () => {
		const named = async (name: string) =>
			String(await admin.send(null, ["CLIENT", "LIST"]))
				.split("\n")
				.filter((line) => line.includes(` name=shardcast:${name}:`)).length;
		const first = create("owner");
		const ends: (() => Promise<unknown>)[] = [() => first.shutdown()];
		try {
			await first.run();
			await expect(create("owner").run()).rejects.toThrow(/^--node-id/);
			expect(await first.shutdown()).toBe(0);
			await waitFor(async () => (await named("owner")) === 0, {
				deadlineMs: 10_000,
				what: "the end of both, though one was not shut down",
			});
			const idle = create("idle");
			ends.push(() => idle.shutdown());
			await waitFor(async () => (await named("idle")) > 0, { deadlineMs: 10_000, what: "the connection of one that is not started" });
			expect(await idle.shutdown()).toBe(0);
			await waitFor(async () => (await named("idle")) === 0, { deadlineMs: 10_000, what: "its end" });
		} finally {
			await Promise.all(ends.map((end) => end()));
		}
	});

	it("a node does not start if its id is taken, or if Redis refuses its login", async () => {
		const first = create("same");
		const second = create("same");
		const login = create("login", { redisAddress: redis.url.replace("//", "//nobody:wrong@") });
		try {
			await first.run();
			await expect(second.run()).rejects.toThrow(/^--node-id: the id "same" is in use by another node, at 127\.0\.0\.1:\d+; give each/);
			await expect(login.run()).rejects.toThrow(
				/^--redis-url: cannot use Redis at redis:\/\/127\.0\.0\.1:\d+: it refuses the login: WRONGPASS/,
			);
		} finally {
			await Promise.all([first.shutdown(), second.shutdown(), login.shutdown()]);
		}
	});
});
