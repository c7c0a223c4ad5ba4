import { createHmac } from "node:crypto";
import { once } from "node:events";
import { type Cluster, httpRequest, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { Centrifuge as CentrifugeProtobuf } from "centrifuge/build/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";

const secret = "a-secret-of-enough-bytes-surely-32";
const key = "a-key-of-the-api";
const file = `
client:
  token: { hmac_secret_key: "${secret}" }
  user_connection_limit: 3
http_api: { key: ${key} }
channel:
  without_namespace: { history_size: 100, history_ttl: 5m, force_recovery: true, presence: true }
  namespaces:
    - { name: room, presence: true, join_leave: true, force_push_join_leave: true }
`;

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
function tokenOf(claims: object): string {
	const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
	return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

/** A number in JSON: the library gives its bytes to clients of Protobuf. */
const textOf = (data: unknown): string => (data instanceof Uint8Array ? Buffer.from(data).toString() : String(data));

/** Tokens, and what the server does with the clients of a user: JSON on shard 0, Protobuf on shard 1. */
describe("npm centrifuge on 2 shards: users", () => {
	let cluster: Cluster;
	const clients: Centrifuge[] = [];
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, config: file });
	});
	afterAll(async () => {
		for (const client of clients) client.disconnect();
		expect((await cluster.stop()).code, cluster.log()).toBe(0);
	});

	/** It connects in a later turn, so that no event is missed. */
	function open(shard: number, claims: object): Centrifuge {
		// Their types differ in nothing that is public.
		const Kind = [Centrifuge, CentrifugeProtobuf as unknown as typeof Centrifuge][shard]!;
		const client = new Kind(`${cluster.shardUrl(shard)}/connection/websocket`, { websocket: WebSocket, token: tokenOf(claims) });
		clients.push(client);
		client.connect();
		return client;
	}

	async function api(method: string, body: object): Promise<unknown> {
		const headers = { "x-api-key": key, "content-type": "application/json" };
		const answer = await httpRequest(`${cluster.httpUrl}/api/${method}`, { method: "POST", headers, body: JSON.stringify(body) });
		expect(answer.status, answer.body).toBe(200);
		const parsed = JSON.parse(answer.body) as { result?: unknown };
		return method === "batch" ? parsed : parsed.result;
	}

	/** Asks until this is the answer: while a shard is late, on a busy machine, there is none. */
	const answers = (method: string, body: object, expected: unknown) =>
		waitFor(async () => expect(await api(method, body)).toEqual(expected), { deadlineMs: 10_000, what: `the answer to ${method}` });

	it("a subscription token opens a private channel; sub_refresh brings the next before it expires", async () => {
		const seconds = () => Math.floor(Date.now() / 1000);
		const renewed = [0, 1].map(async (shard) => {
			const client = open(shard, { sub: "ann" });
			let asked = 0;
			const getToken = async () => tokenOf({ sub: "ann", channel: "$room", exp: seconds() + (asked++ === 0 ? 2 : 600) });
			const subscription = client.newSubscription("$room", { getToken });
			subscription.subscribe();
			await subscription.ready(10_000);
			await waitFor(() => asked === 2, { deadlineMs: 10_000, what: "the next token" });
			// It is answered behind the token.
			await client.presence("$room").catch(() => {});
			expect(subscription.state).toBe("subscribed");
		});
		await Promise.all(renewed);
	});

	it("channels of the token are there from the start, and lose nothing when the connection drops", async () => {
		const data: unknown[] = [];
		const all = [0, 1].map((shard) => open(shard, { sub: "cat", channels: ["cats"] }));
		for (const client of all) client.on("publication", ({ channel, data: each }) => data.push(`${channel} ${textOf(each)}`));
		await Promise.all(all.map((client) => client.ready(10_000)));
		await api("publish", { channel: "cats", data: 1 });
		await waitFor(() => data.length === 2, { deadlineMs: 10_000, what: "the first publication" });
		await api("disconnect", { user: "cat", disconnect: { code: 3011, reason: "again" } });
		await api("publish", { channel: "cats", data: 2 });
		await waitFor(() => data.length === 4, { deadlineMs: 10_000, what: "the publication that was missed" });
		expect(data.toSorted()).toEqual(["cats 1", "cats 1", "cats 2", "cats 2"]);
	});

	it("the backend subscribes, unsubscribes and disconnects a user on both shards", async () => {
		const events: string[] = [];
		const all = [0, 1].map((shard) => open(shard, { sub: "dan" }));
		for (const [shard, client] of all.entries()) {
			client.on("subscribed", ({ channel }) => events.push(`${shard} subscribed ${channel}`));
			client.on("unsubscribed", ({ channel }) => events.push(`${shard} unsubscribed ${channel}`));
			client.on("disconnected", ({ code }) => events.push(`${shard} disconnected ${code}`));
		}
		await Promise.all(all.map((client) => client.ready(10_000)));
		const other = open(0, { sub: "eve" });
		await other.ready(10_000);
		const both = async (what: string) => {
			await waitFor(() => events.length === 2, { deadlineMs: 10_000, what });
			expect(events.splice(0).toSorted()).toEqual([`0 ${what}`, `1 ${what}`]);
		};
		await api("subscribe", { user: "dan", channel: "news" });
		await both("subscribed news");
		await answers("presence_stats", { channel: "news" }, { num_clients: 2, num_users: 1 });
		await answers("channels", { pattern: "new?" }, { channels: { news: { num_clients: 2 } } });
		expect(Object.values(((await api("connections", { user: "dan" })) as { connections: object }).connections)).toMatchObject(
			[0, 1].map(() => ({ user: "dan", transport: "websocket", state: { channels: { news: {} } } })),
		);
		expect(((await api("info", {})) as { nodes: object[] }).nodes).toMatchObject([{ name: "shard-0" }, { name: "shard-1" }]);
		const batch = [
			{ broadcast: { channels: ["news"], data: 1 } },
			{ history: { channel: "news", limit: 1 } },
			{ unsubscribe: { channel: "news", user: "dan" } },
		];
		expect(await api("batch", { commands: batch })).toMatchObject({
			replies: [
				{ broadcast: { responses: [{ result: { offset: 1 } }] } },
				{ history: { publications: [{ data: 1, offset: 1 }] } },
				{ unsubscribe: {} },
			],
		});
		await both("unsubscribed news");
		const lines = ['{"method":"presence_stats","params":{"channel":"news"}}', '{"method":"disconnect","params":{"user":"nobody"}}'].join(
			"\n",
		);
		const older = async () => {
			const { body } = await httpRequest(`${cluster.httpUrl}/api`, { method: "POST", headers: { "x-api-key": key }, body: lines });
			expect(body).toBe('{"result":{"num_clients":0,"num_users":0}}\n{"result":{}}');
			return true;
		};
		await waitFor(older, { deadlineMs: 10_000, what: "the answer to POST /api with several lines" });
		await api("disconnect", { user: "dan" });
		await both("disconnected 3503");
		expect(other.state).toBe("connected");
	});

	it("who comes and goes is known on both shards; a shard that is killed takes its clients out of presence within a second", async () => {
		const events: string[] = [];
		const watcher = open(0, { sub: "watcher", channels: ["room:1"] });
		watcher.on("join", ({ info }) => events.push(`join ${info.user}`));
		watcher.on("leave", ({ info }) => events.push(`leave ${info.user}`));
		await watcher.ready(10_000);
		const users = ["fay", "fay", "gus"];
		const others = users.map((sub) => open(1, { sub, channels: ["room:1"] }));
		await Promise.all(others.map((client) => client.ready(10_000)));
		others[0]!.disconnect();
		const seen = (count: number) => waitFor(() => events.length === count, { deadlineMs: 10_000, what: `${count} events` });
		await seen(5);
		expect(events.splice(0).toSorted()).toEqual(["join fay", "join fay", "join gus", "join watcher", "leave fay"]);
		await answers("presence_stats", { channel: "room:1" }, { num_clients: 3, num_users: 3 });
		for (const client of others) client.disconnect();
		await seen(2);
		events.length = 0;
		const last = open(1, { sub: "gus", channels: ["room:1"] });
		await last.ready(10_000);
		await seen(1);
		// It must not come back to the shard that is started again.
		const lost = new Promise<void>((resolve) =>
			last.once("connecting", () => {
				last.disconnect();
				resolve();
			}),
		);
		const endOf = async (client: Centrifuge): Promise<number> => {
			let ended = 0;
			client.once("disconnected", ({ code }) => {
				ended = code;
			});
			await waitFor(() => ended !== 0, { deadlineMs: 10_000, what: "the end of a blocked user's connection" });
			return ended;
		};
		const refused = (shard: number) => endOf(open(shard, { sub: "ivy" }));
		const ivy = [0, 1].map((shard) => open(shard, { sub: "ivy" }));
		await Promise.all(ivy.map((client) => client.ready(10_000)));
		const ends = Promise.all(ivy.map(endOf));
		expect(await api("block_user", { user: "ivy" })).toEqual({});
		expect(await ends).toEqual([3507, 3507]);
		expect(await Promise.all([refused(0), refused(1)]), "the user comes back").toEqual([3507, 3507]);
		const kim = [0, 1].map((shard) => open(shard, { sub: "kim", jti: "k1" }));
		await Promise.all(kim.map((client) => client.ready(10_000)));
		const raw = new WebSocket(`${cluster.shardUrl(1)}/?token=${tokenOf({ sub: "kim", jti: "k1", channels: ["kim"] })}`);
		await once(raw, "open");
		const { connections } = (await api("connections", { user: "kim" })) as { connections: Readonly<Record<string, { protocol: string }>> };
		expect(
			Object.values(connections)
				.map(({ protocol }) => protocol)
				.toSorted(),
		).toEqual(["json", "protobuf", "raw"]);
		const revoked = Promise.all([...kim.map(endOf), once(raw, "close").then(([code]) => code as number)]);
		expect(await api("revoke_token", { uid: "k1" })).toEqual({});
		expect(await revoked, "clients with a revoked token").toEqual([3500, 3500, 3500]);
		await cluster.kill9(1);
		await lost;
		await waitFor(
			async () => ((await api("presence_stats", { channel: "room:1" })) as { num_clients: number } | undefined)?.num_clients === 1,
			{
				// A second, and some for a machine that is busy.
				deadlineMs: 3000,
				what: "presence without the shard's clients",
			},
		);
		expect(events).toEqual(["join gus"]);
		// The shard that is started again knows, too.
		await cluster.ready();
		expect(await refused(1)).toBe(3507);
	});

	it("a user has client.user_connection_limit connections on both shards together; those of a killed shard count no longer", async () => {
		await cluster.ready();
		/** "connected", or the code with which it was closed for good. */
		const join = (shard: number) => {
			const client = open(shard, { sub: "hal" });
			return new Promise<{ client: Centrifuge; outcome: string }>((resolve) => {
				client.on("connected", () => resolve({ client, outcome: "connected" }));
				client.on("disconnected", ({ code }) => resolve({ client, outcome: String(code) }));
			});
		};
		const first = [await join(0), await join(0), await join(1)];
		expect(first.map(({ outcome }) => outcome)).toEqual(["connected", "connected", "connected"]);
		expect([(await join(0)).outcome, (await join(1)).outcome]).toEqual(["3504", "3504"]);
		const lost = first.slice(0, 2).map(({ client }) => new Promise<void>((resolve) => client.once("connecting", () => resolve())));
		const gone = Promise.all(lost).then(() => {
			for (const { client } of first.slice(0, 2)) client.disconnect();
		});
		await cluster.kill9(0);
		await gone;
		await cluster.ready();
		// The other shard hears a little later than the supervisor that those are gone.
		await waitFor(async () => (await join(1)).outcome === "connected", { deadlineMs: 5_000, what: "a place of one that is gone" });
		expect([(await join(0)).outcome, (await join(1)).outcome]).toEqual(["connected", "3504"]);
		first[2]!.client.disconnect();
		await waitFor(async () => (await join(0)).outcome === "connected", { deadlineMs: 10_000, what: "a place for another connection" });
	});
});
