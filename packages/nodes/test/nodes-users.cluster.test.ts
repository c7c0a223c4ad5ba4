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
		this.client.connect();
	}

	async has(event: string): Promise<void> {
		await waitFor(() => this.events.includes(event), { deadlineMs: waitMs, what: `"${event}" among the events [${this.events}]` });
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
		const flags = ["--config", config, "--node-id", id, "--node-timeout", "6s", "--node-heartbeat", "400ms", "--redis-timeout", "1s"];
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
		// The code tells clients to fetch a new token; theirs cannot.
		await Promise.all(
			again.map(({ client, events }) => waitFor(() => client.state !== "connected", { deadlineMs: waitMs, what: `expired: [${events}]` })),
		);
	});

	it("presence, presence_stats, channels, connections and info are those of all nodes, for the server API and for clients", async () => {
		const all = await everywhere({ sub: "fay" });
		await done("n1", "subscribe", { user: "fay", channel: "tea" });
		await each(all, "subscribed tea");
		for (const id of ["n1", "n2"]) {
			expect(await done(id, "presence_stats", { channel: "tea" }), `asked ${id}`).toEqual({ num_clients: 3, num_users: 1 });
			const { presence } = (await done(id, "presence", { channel: "tea" })) as { presence: Record<string, { user: string }> };
			expect(
				Object.values(presence).map(({ user }) => user),
				`presence asked of ${id}`,
			).toEqual(["fay", "fay", "fay"]);
			expect(await done(id, "channels", { pattern: "te*" }), `asked ${id}`).toEqual({ channels: { tea: { num_clients: 3 } } });
			const { connections } = (await done(id, "connections", { user: "fay" })) as { connections: object };
			expect(Object.keys(connections).length, `connections asked of ${id}`).toBe(3);
			const { nodes: shards } = (await done(id, "info", {})) as { nodes: readonly { name: string; uid: string }[] };
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
});
