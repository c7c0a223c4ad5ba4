import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, httpRequest, RedisServer, redisForTests, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RoamingClient } from "./support/roaming-client.ts";
import { allGot, RoamingReader, SteadyPublishing } from "./support/roaming-reader.ts";

const key = "a-key-of-the-operations";
const headers = { "x-api-key": key, "content-type": "application/json" };
const channel = "news:all";
const file = `
client: { insecure: true, recovery_max_publication_limit: 10000 }
http_api: { key: ${key} }
channel:
  namespaces: [{ name: news, history_size: 10000, history_ttl: 10m, force_recovery: true, force_positioning: true }]
`;
const waitMs = 30_000;
const clientsCount = 16;

describe.skipIf(!redisForTests())("two nodes of two shards whose clients know both", () => {
	let redis: RedisServer;
	let directory: string;
	const nodes = new Map<string, Cluster>();
	const urls: string[] = [];
	const clients: RoamingReader[] = [];

	const start = async (id: string): Promise<void> => {
		const flags = ["--config", join(directory, "shardcast.yaml"), "--cluster-directory", directory];
		flags.push("--node-id", id, "--node-heartbeat", "400ms", "--node-timeout", "6s", "--redis-timeout", "2s");
		const node = await startCluster({ shards: 2, flags, env: { REDIS_URL: redis.url } });
		nodes.set(id, node);
		urls[id === "n1" ? 0 : 1] = node.url;
	};
	const post = async (id: string, path: string, body: object) => {
		const answer = await httpRequest(`${nodes.get(id)!.httpUrl}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
		return { status: answer.status, body: JSON.parse(answer.body) as Record<string, unknown> };
	};
	/** Waits until n1 sees these nodes, with their status. */
	const together = (...wanted: readonly string[]) =>
		waitFor(
			async () => {
				const { body } = await httpRequest(`${nodes.get("n1")!.httpUrl}/cluster/nodes`, { headers });
				const known = JSON.parse(body) as { nodes: readonly { id: string; status: string }[] };
				const now = known.nodes.map(({ id, status }) => `${id} ${status}`);
				if (now.join() !== wanted.join()) throw new Error(now.join());
				return true;
			},
			{ deadlineMs: waitMs, what: wanted.join(), everyMs: 50 },
		);
	/** Clients that are connected to a node. */
	const on = (id: string) => clients.filter(({ client, at }) => client.state === "connected" && at % 2 === (id === "n1" ? 0 : 1));
	const half = clientsCount / 2;
	/** Requests in progress count as connections, too. */
	const isAbout = (count: number) => Math.abs(count - half) <= 2;
	/** Half of the clients move to n2. Returns how many should. */
	async function spread(by: string): Promise<number> {
		await waitFor(
			async () => {
				const { body } = await httpRequest(`${nodes.get(by)!.httpUrl}/cluster/rebalance`, { headers });
				if (!isAbout((JSON.parse(body) as { clients: number }).clients)) throw new Error(body);
				return true;
			},
			{ deadlineMs: waitMs, what: `that ${by} recommends to move half of the clients`, everyMs: 50 },
		);
		const ends = () => [
			...nodes
				.get("n1")!
				.log()
				.matchAll(/rebalance: (\d+) clients were asked to connect again/g),
		];
		const moves = () => clients.flatMap((client) => client.codes.filter((code) => code === 3011)).length;
		const [endsBefore, movesBefore] = [ends().length, moves()];
		const { status, body } = await post(by, "/cluster/rebalance", {});
		expect(status, JSON.stringify(body)).toBe(200);
		await waitFor(() => isAbout(on("n2").length) && on("n1").length + on("n2").length === clientsCount, {
			deadlineMs: waitMs,
			what: "half of the clients on n2",
		});
		// Otherwise the last of them would move during what comes next.
		await waitFor(
			() => {
				const all = ends();
				return (
					all.length > endsBefore && moves() - movesBefore === Number(all.at(-1)![1]) && on("n1").length + on("n2").length === clientsCount
				);
			},
			{ deadlineMs: waitMs, what: "the end of the rebalance" },
		);
		return (body.moving as { n1: number }).n1;
	}

	/** Publishes one after the other through both nodes until `stop`; what a node refuses goes to the other. */
	function publisher() {
		const already = clients[0]!.got.length;
		return new SteadyPublishing({
			channel,
			headers,
			urls: () => urls.map((url) => url.replace("ws:", "http:")),
			publishers: ["a", "b"].map((name, first) => ({ data: (index) => `${name}${already}-${index}`, place: () => first })),
			deadlineMs: waitMs,
		});
	}
	let before = 0;
	/** Each client has all of these, once, in the order of their offsets. */
	async function allHave(published: readonly string[]): Promise<void> {
		await allGot(clients, before + published.length, waitMs);
		for (const { got, unrecovered } of clients) {
			const own = got.slice(before);
			expect(
				own.map((text) => Number(text.split(":")[0])),
				"offsets without a gap",
			).toEqual(own.map((_, index) => before + index + 1));
			expect(own.map((text) => text.split(":")[1]!).toSorted(), "each publication once").toEqual([...published].toSorted());
			for (const name of ["a", "b"])
				expect(
					own.flatMap((text) => (text.includes(`:${name}`) ? [Number(text.split("-")[1])] : [])),
					"those of one publisher in order",
				).toEqual(published.filter((text) => text.startsWith(name)).map((_, index) => index));
			expect(unrecovered).toBe(0);
		}
		before += published.length;
	}
	const codes = () => clients.map((client) => client.codes.join());

	beforeAll(async () => {
		directory = mkdtempSync("/dev/shm/shardcast-test-");
		writeFileSync(join(directory, "shardcast.yaml"), file);
		redis = await RedisServer.start();
		await Promise.all([start("n1"), start("n2")]);
		await together("n1 serving", "n2 serving");
		for (let index = 0; index < clientsCount; index++) clients.push(new RoamingReader(() => urls, 0, channel));
		await Promise.all(clients.map(({ subscription }) => subscription.ready(waitMs)));
	});
	afterAll(async () => {
		for (const { client } of clients) client.disconnect();
		try {
			for (const node of nodes.values()) await node.stop();
		} finally {
			await redis?.stop();
			rmSync(directory, { recursive: true, force: true });
		}
	});

	it("a rebalance moves the surplus, and nobody else; nothing is lost, doubled or reordered", async () => {
		const running = publisher();
		await running.more(20);
		const wanted = await spread("n2");
		await running.more(20);
		const moved = codes().filter((each) => each !== "");
		expect(moved, "once each").toEqual(moved.map(() => "3011"));
		expect(moved.length).toBeLessThanOrEqual(wanted);
		expect(isAbout(moved.length), `${moved.length} clients have moved`).toBe(true);
		const again = await post("n1", "/cluster/rebalance", { tolerance: 0.5 });
		expect(again, "nothing is left to move").toMatchObject({ status: 200, body: { recommended: false, moving: {} } });
		await running.stop();
		await allHave(running.published);
	});

	for (const strategy of ["graceful", "immediate"])
		it(`a planned failover, ${strategy}: its clients are served by the other node, and nothing is lost`, {
			tags: strategy === "graceful" ? ["long"] : [],
		}, async () => {
			const running = publisher();
			await running.more(20);
			const moving = on("n2");
			const staying = on("n1").map((client) => [client, client.codes.length] as const);
			const n2 = nodes.get("n2")!;
			nodes.delete("n2");
			const orderedMs = performance.now();
			expect(await post("n1", "/cluster/failover", { node: "n2", strategy })).toEqual({ status: 200, body: { node: "n2", strategy } });
			expect(await n2.process.exited, n2.log()).toMatchObject({ code: 0 });
			await waitFor(() => on("n1").length === clientsCount, { deadlineMs: waitMs, what: "all clients on n1" });
			await running.more(20);
			await running.stop();
			await allHave(running.published);
			expect(moving.map((client) => client.codes.find((code) => code === 3001))).toEqual(moving.map(() => 3001));
			for (const [client, count] of staying) expect(client.codes.length, "the others stay").toBe(count);
			tell(`failover, ${strategy}`, moving, orderedMs);
			expect(n2.log()).toMatch(/shutting down: a failover was ordered/);
			await together("n1 serving");
			const last = await post("n1", "/cluster/failover", { node: "n1" });
			expect([last.status, last.body.error]).toEqual([503, expect.objectContaining({ code: "no_node" })]);
			await start("n2");
			await together("n1 serving", "n2 serving");
			await spread("n1");
		});

	it("a planned failover, delayed: the node serves on for the delay, and is neither ready nor selected; then nothing is lost", {
		tags: ["long"],
	}, async () => {
		const running = publisher();
		await running.more(20);
		const moving = on("n2");
		const n2 = nodes.get("n2")!;
		const orderedMs = performance.now();
		expect((await post("n1", "/cluster/failover", { node: "n2", strategy: "delayed" })).status).toBe(200);
		await waitFor(async () => (await httpRequest(`${n2.httpUrl}/ready`)).status === 503, { deadlineMs: waitMs, what: "n2 not ready" });
		await together("n1 serving", "n2 draining");
		const selected = await httpRequest(`${nodes.get("n1")!.httpUrl}/cluster/select`);
		expect(JSON.parse(selected.body)).toMatchObject({ id: "n1" });
		// Both still publish, and nobody was asked to move.
		await running.more(20);
		expect(
			moving.map((client) => client.client.state),
			"within the delay",
		).toEqual(moving.map(() => "connected"));
		expect(moving.every((client) => client.codes.at(-1) !== 3001)).toBe(true);
		nodes.delete("n2");
		expect(await n2.process.exited, n2.log()).toMatchObject({ code: 0 });
		await waitFor(() => on("n1").length === clientsCount, { deadlineMs: waitMs, what: "all clients on n1" });
		await running.more(20);
		await running.stop();
		await allHave(running.published);
		expect(moving.map((client) => client.codes.at(-1))).toEqual(moving.map(() => 3001));
		expect(
			Math.min(...moving.map(({ subscribedMs }) => subscribedMs)) - orderedMs,
			"the delay, which is 5 s where the options name none",
		).toBeGreaterThan(4900);
		tell("failover, delayed", moving, orderedMs);
		await together("n1 serving");
		await start("n2");
		await together("n1 serving", "n2 serving");
		await spread("n1");
	});

	it("a node is killed: its clients recover everything on the other", async () => {
		const running = publisher();
		await running.more(20);
		const moving = on("n2");
		const n2 = nodes.get("n2")!;
		nodes.delete("n2");
		const killedMs = performance.now();
		await n2.kill9("supervisor");
		await waitFor(() => on("n1").length === clientsCount, { deadlineMs: waitMs, what: "all clients on n1" });
		await running.more(20);
		await running.stop();
		await allHave(running.published);
		tell("killed", moving, killedMs);
	});
});

/** Prints how long it took until the last of them was subscribed again, with its own delay. */
function tell(what: string, clients: readonly RoamingClient[], sinceMs: number): void {
	const tookMs = clients.map(({ subscribedMs }) => subscribedMs - sinceMs);
	console.log(
		`${what}: ${clients.length} clients subscribed again after ${Math.round(Math.min(...tookMs))}–${Math.round(Math.max(...tookMs))} ms`,
	);
}
