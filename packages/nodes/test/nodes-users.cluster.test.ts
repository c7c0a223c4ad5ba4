import { createHmac } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, httpRequest, RedisServer, redisForTests, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const secret = "a-secret-of-enough-bytes-surely-32";
const key = "a-key-of-the-api";
const headers = { "x-api-key": key, "content-type": "application/json" };
const waitMs = 20_000;
const file = (folder: string) => `
client: { token: { hmac_secret_key: "${secret}" } }
http_api: { key: ${key} }
channel:
  durable_store: { path: "${folder}" }
  without_namespace: { presence: true, allow_subscribe_for_client: true, allow_presence_for_subscriber: true }
`;
const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
function tokenOf(claims: object): string {
	const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
	return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** What happened to a client, in order. */
class User {
	readonly client: Centrifuge;
	readonly events: string[] = [];

	constructor(url: string, claims: object) {
		this.client = new Centrifuge(`${url}/connection/websocket`, { websocket: WebSocket, token: tokenOf(claims), minReconnectDelay: 20 });
		this.client.on("subscribed", ({ channel }) => this.events.push(`subscribed ${channel}`));
		this.client.on("unsubscribed", ({ channel }) => this.events.push(`unsubscribed ${channel}`));
		this.client.on("disconnected", ({ code }) => this.events.push(`disconnected ${code}`));
		this.client.on("message", ({ data }) => this.events.push(`message ${data.type} ${data.payload}`));
		// Told to reconnect.
		this.client.on("connecting", ({ code }) => {
			if (code >= 3000) this.events.push(`connecting ${code}`);
		});
		this.client.connect();
	}

	async has(event: string): Promise<void> {
		await waitFor(
			() => {
				if (!this.events.includes(event)) throw new Error(`[${this.events}]`);
				return true;
			},
			{ deadlineMs: waitMs, what: `"${event}" among the events` },
		);
	}
}

describe.skipIf(!redisForTests())("users of two machines with Redis", () => {
	let redis: RedisServer;
	let directory: string;
	const nodes = new Map<string, Cluster>();
	const users: User[] = [];

	const start = async (id: string, shards: number): Promise<void> => {
		const config = join(directory, `${id}.yaml`);
		writeFileSync(config, file(join(directory, id)));
		const flags = ["--config", config, "--node-id", id, "--node-timeout", "6s", "--node-heartbeat", "400ms", "--redis-timeout", "3s"];
		nodes.set(id, await startCluster({ shards, flags, env: { REDIS_URL: redis.url } }));
	};
	/** Both see both. */
	const together = () =>
		waitFor(
			async () => {
				for (const node of nodes.values()) {
					const { body } = await httpRequest(`${node.httpUrl}/cluster/nodes`, { headers });
					const seen = JSON.parse(body) as { state: string; nodes: readonly { status: string }[] };
					const states = [seen.state, ...seen.nodes.map(({ status }) => status)].join(", ");
					if (states !== "member, serving, serving") throw new Error(states);
				}
				return true;
			},
			{ deadlineMs: waitMs, what: "both nodes together", everyMs: 50 },
		);
	const api = async (
		id: string,
		method: string,
		body: object,
	): Promise<{ result?: unknown; error?: { code: number; message: string } }> => {
		const answer = await httpRequest(`${nodes.get(id)!.httpUrl}/api/${method}`, { method: "POST", headers, body: JSON.stringify(body) });
		return JSON.parse(answer.body) as { result?: unknown };
	};
	const done = async (id: string, method: string, body: object) => {
		const { result, error } = await api(id, method, body);
		expect(error, `error of ${method} at ${id}`).toBeUndefined();
		return result;
	};
	/** Of a method that only reads: it may be repeated when a shard was late with its part. */
	const read = async (id: string, method: string, body: object) => {
		const answer = await waitFor(
			async () => {
				const { result, error } = await api(id, method, body);
				if (error !== undefined) throw new Error(error.message);
				return { result };
			},
			{ deadlineMs: waitMs, what: `an answer of ${method} at ${id}`, everyMs: 100 },
		);
		return answer.result;
	};
	/** One client on each shard of each node. */
	const everywhere = async (claims: object): Promise<User[]> => {
		const urls = [nodes.get("n1")!.shardUrl(0), nodes.get("n1")!.shardUrl(1), nodes.get("n2")!.shardUrl(0)];
		const all = urls.map((url) => new User(url, claims));
		users.push(...all);
		await Promise.all(all.map(({ client }) => client.ready(waitMs)));
		return all;
	};
	const each = (all: readonly User[], event: string) => Promise.all(all.map((user) => user.has(event)));

	beforeAll(async () => {
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		redis = await RedisServer.start();
		await Promise.all([start("n1", 2), start("n2", 1)]);
		await together();
	});
	afterAll(async () => {
		for (const { client } of users) client.disconnect();
		try {
			for (const node of nodes.values()) await node.stop();
		} finally {
			await redis?.stop();
			rmSync(directory, { recursive: true });
		}
	});

	it("subscribe, unsubscribe, refresh and disconnect reach a user's connections on all nodes, whichever node is asked", async () => {
		const all = await everywhere({ sub: "dan" });
		const [other] = await everywhere({ sub: "eve" });
		await done("n1", "subscribe", { user: "dan", channel: "news" });
		await each(all, "subscribed news");
		await done("n2", "unsubscribe", { user: "dan", channel: "news" });
		await each(all, "unsubscribed news");
		await done("n1", "disconnect", { user: "dan", disconnect: { code: 4501, reason: "enough" } });
		await each(all, "disconnected 4501");
		expect(other!.events, "what happened to another user").toEqual([]);
		const again = await everywhere({ sub: "dan" });
		await done("n2", "refresh", { user: "dan", expired: true });
		await each(again, "connecting 3005");
	});

	it("a message to a user, or to all, reaches each connection on all nodes once, whichever node is asked", async () => {
		const all = await everywhere({ sub: "gil" });
		const [other] = await everywhere({ sub: "hal" });
		for (const id of ["n1", "n2"]) {
			// Until messages go both ways: feeders subscribe a moment after the start.
			await waitFor(
				async () => {
					await done(id, "send_to_user", { user: "gil", type: "ready", data: id });
					return all.every(({ events }) => events.includes(`message ready ${id}`));
				},
				{ deadlineMs: waitMs, what: `messages of ${id} everywhere`, everyMs: 50 },
			);
			await done(id, "send_to_user", { user: "gil", type: "normal", data: id });
			await done(id, "send_to_user", { user: "gil", type: "high", data: id, priority: "high" });
			await done(id, "send_to_all", { type: "all", data: id });
			await done(id, "send_to_user", { user: "gil", type: "end", data: id });
		}
		const expected = ["n1", "n2"].flatMap((id) => ["all", "end", "high", "normal"].map((type) => `message ${type} ${id}`)).toSorted();
		// The last one that was sent need not be the last one that comes.
		for (const message of expected) await each(all, message);
		for (const { events } of all) expect(events.filter((event) => !event.startsWith("message ready")).toSorted()).toEqual(expected);
		for (const id of ["n1", "n2"]) await each([other!], `message all ${id}`);
		expect(other!.events.toSorted(), "another user").toEqual(["message all n1", "message all n2"]);
	});

	it("presence, presence_stats, channels, connections and info are those of all nodes, for the server API and for clients", async () => {
		const all = await everywhere({ sub: "fay" });
		await done("n1", "subscribe", { user: "fay", channel: "tea" });
		await each(all, "subscribed tea");
		for (const id of ["n1", "n2"]) {
			expect(await read(id, "presence_stats", { channel: "tea" }), `asked ${id}`).toEqual({ num_clients: 3, num_users: 1 });
			const { presence } = (await read(id, "presence", { channel: "tea" })) as { presence: Record<string, { user: string }> };
			expect(
				Object.values(presence).map(({ user }) => user),
				`presence asked of ${id}`,
			).toEqual(["fay", "fay", "fay"]);
			expect(await read(id, "channels", { pattern: "te*" }), `asked ${id}`).toEqual({ channels: { tea: { num_clients: 3 } } });
			const { connections } = (await read(id, "connections", { user: "fay" })) as { connections: object };
			expect(Object.keys(connections).length, `connections asked of ${id}`).toBe(3);
			const { nodes: shards } = (await read(id, "info", {})) as { nodes: readonly { name: string; uid: string }[] };
			expect(shards.map(({ name }) => name).toSorted(), `info asked of ${id}`).toEqual(["n1_shard-0", "n1_shard-1", "n2_shard-0"]);
			expect(new Set(shards.map(({ uid }) => uid)).size, "different uids").toBe(3);
		}
		const [first] = all;
		const subscription = first!.client.newSubscription("coffee");
		subscription.subscribe();
		await subscription.ready(waitMs);
		await done("n2", "subscribe", { user: "fay", channel: "coffee" });
		const { clients } = await subscription.presence();
		expect(Object.keys(clients).length, "presence for a client").toBe(3);
	});

	const outcomeOf = async (url: string, user: string): Promise<string> => {
		const late = new User(url, { sub: user });
		users.push(late);
		await waitFor(() => late.events.length > 0 || late.client.state === "connected", {
			deadlineMs: waitMs,
			what: `${user} let in or refused`,
		});
		const outcome = late.events[0] ?? "connected";
		late.client.disconnect();
		return outcome;
	};

	it("block_user, unblock_user, revoke_token and invalidate_user_tokens hold on all nodes when they are answered", async () => {
		const all = await everywhere({ sub: "gus" });
		await done("n2", "block_user", { user: "gus" });
		await each(all, "disconnected 3507");
		for (const id of ["n1", "n2"]) expect(await outcomeOf(nodes.get(id)!.shardUrl(0), "gus"), `at ${id}`).toBe("disconnected 3507");
		await done("n1", "unblock_user", { user: "gus" });
		for (const id of ["n1", "n2"]) expect(await outcomeOf(nodes.get(id)!.shardUrl(0), "gus"), `at ${id}, unblocked`).toBe("connected");
		const tokens = await everywhere({ sub: "hal", jti: "t1", iat: 1000 });
		await done("n1", "revoke_token", { uid: "t1" });
		await each(tokens, "disconnected 3500");
		const old = await everywhere({ sub: "ida", iat: 1000 });
		await done("n2", "invalidate_user_tokens", { user: "ida", issued_before: 2000 });
		await each(old, "disconnected 3500");
	});

	it("a node that is stopped and starts again has what was blocked and unblocked meanwhile", { tags: ["long"] }, async () => {
		await done("n1", "block_user", { user: "joe" });
		await nodes.get("n2")!.stop();
		nodes.delete("n2");
		await done("n1", "block_user", { user: "kim" });
		await done("n1", "unblock_user", { user: "joe" });
		await start("n2", 1);
		await together();
		const url = nodes.get("n2")!.shardUrl(0);
		expect([await outcomeOf(url, "kim"), await outcomeOf(url, "joe")], "kim is blocked, and joe is not").toEqual([
			"disconnected 3507",
			"connected",
		]);
	});

	it("while Redis is away, an order says that only this node has carried it out; the others do when Redis is back, even empty", async () => {
		const all = await everywhere({ sub: "leo" });
		await done("n1", "block_user", { user: "max" });
		await redis.end();
		const { error } = await api("n1", "block_user", { user: "leo" });
		expect(error, "error of block_user without Redis").toEqual({
			code: 100,
			message: expect.stringContaining("it is in force on this node only: Redis cannot be reached") as string,
		});
		await each(all.slice(0, 2), "disconnected 3507");
		const left = await api("n1", "disconnect", { user: "leo", disconnect: { code: 4501, reason: "" } });
		expect(left.error?.message, "error of disconnect without Redis").toMatch(/n2 \(.*\) may not have carried out "disconnect"/);
		expect(await read("n1", "presence_stats", { channel: "tea" }), "only the clients of this node").toMatchObject({ num_users: 1 });
		await redis.start();
		await each(all, "disconnected 3507");
		await together();
		for (const id of ["n1", "n2"])
			expect(await outcomeOf(nodes.get(id)!.shardUrl(0), "max"), `blocked before Redis lost everything, at ${id}`).toBe(
				"disconnected 3507",
			);
	});

	it("presence of a node that was killed is gone within the node timeout", async () => {
		const all = await everywhere({ sub: "ned" });
		// The shards connect to Redis after it was away; n1 says so until n2's is there again. Subscribing twice does no harm.
		await waitFor(async () => (await api("n1", "subscribe", { user: "ned", channel: "milk" })).error === undefined, {
			deadlineMs: waitMs,
			what: "subscribe carried out on both nodes",
			everyMs: 100,
		});
		await each(all, "subscribed milk");
		await nodes.get("n2")!.kill9("supervisor");
		for (const folder of nodes.get("n2")!.sharedDirectories()) rmSync(folder, { recursive: true });
		nodes.delete("n2");
		let answers = "";
		const killedMs = performance.now();
		await waitFor(
			async () => {
				answers = JSON.stringify(await api("n1", "presence_stats", { channel: "milk" }));
				return answers === '{"result":{"num_clients":2,"num_users":1}}';
			},
			{ deadlineMs: 6000, what: "presence without the killed node" },
		);
		expect(performance.now() - killedMs, "milliseconds until then").toBeLessThan(6000);
	});
});
