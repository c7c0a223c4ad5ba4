import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, httpRequest, ManagedProcess, RedisServer, redisForTests, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { allGot, RoamingReader, SteadyPublishing } from "../../nodes/test/support/roaming-reader.ts";

const main = join(import.meta.dirname, "../../../apps/supervisor/dist/main.js");
const key = "a-key-of-the-operations";
const headers = { "x-api-key": key, "content-type": "application/json" };
const channel = "news:all";
const file = `
client: { insecure: true, recovery_max_publication_limit: 10000 }
http_api: { key: ${key} }
network: { trusted_proxies: [127.0.0.1] }
channel:
  namespaces: [{ name: news, history_size: 10000, history_ttl: 10m, force_recovery: true, force_positioning: true }]
`;
const waitMs = 60_000;
const clientsCount = 12;

interface RunningEdge {
	readonly process: ManagedProcess;
	/** Of its port, without a scheme. */
	readonly address: string;
}

describe.skipIf(!redisForTests())("two edges before two nodes with one Redis", () => {
	let redis: RedisServer;
	let directory: string;
	const nodes = new Map<string, Cluster>();
	const edges: RunningEdge[] = [];
	const clients: RoamingReader[] = [];
	let before = 0;

	async function startNode(id: string, shards: number): Promise<void> {
		const flags = ["--cluster-directory", directory, "--node-id", id];
		flags.push("--node-heartbeat", "400ms", "--node-timeout", "6s", "--redis-timeout", "2s");
		nodes.set(id, await startCluster({ shards, config: file, flags, env: { REDIS_URL: redis.url } }));
	}
	async function startEdge(): Promise<RunningEdge> {
		const flags = [
			"edge",
			"--edge-addr",
			"127.0.0.1:0",
			"--node-heartbeat",
			"400ms",
			"--node-timeout",
			"6s",
			"--check-interval",
			"500ms",
			"--log-format",
			"json",
		];
		const process = await ManagedProcess.start(main, flags, { env: { REDIS_URL: redis.url } });
		const [, address] = await process.waitForOutput(/shardcast edge, pid \d+: ws:\/\/(127\.0\.0\.1:\d+),/, waitMs);
		return { process, address: address! };
	}
	/** Connections through all edges, by node. */
	async function connectionsOf(id: string): Promise<number> {
		const counts = await Promise.all(
			edges.map(async ({ address }) =>
				new Scrape((await httpRequest(`http://${address}/metrics`)).body).sum("shardcast_edge_open_connections", { node: id }),
			),
		);
		return counts.reduce((sum, count) => sum + count, 0);
	}
	const takesClients = ({ address }: RunningEdge, ids: string) =>
		waitFor(
			async () => {
				const { body } = await httpRequest(`http://${address}/health`);
				const known = (JSON.parse(body) as { nodes: readonly { id: string; status: string }[] }).nodes;
				const healthy = known.flatMap(({ id, status }) => (status === "healthy" ? [id] : []));
				if (healthy.toSorted().join() !== ids) throw new Error(body);
				return true;
			},
			{ deadlineMs: waitMs, what: `that the edge sends clients to ${ids}`, everyMs: 50 },
		);

	/** Publishes one after the other through the edges until `stop`; what one edge or its node does not accept goes to the next. */
	function publisher() {
		const first = before;
		return new SteadyPublishing({
			channel,
			headers,
			urls: () => edges.map(({ address }) => `http://${address}`),
			publishers: [{ data: (index) => `p${first + index}`, place: (index) => index }],
			deadlineMs: waitMs,
		});
	}
	/** Each client has all of these, once, in the order of their offsets, and never lost its place. */
	async function allHave(published: readonly string[]): Promise<void> {
		await allGot(clients, before + published.length, waitMs);
		const wanted = published.map((data, index) => `${before + index + 1}:${data}`);
		for (const { got, unrecovered } of clients) {
			expect(got.slice(before)).toEqual(wanted);
			expect(unrecovered).toBe(0);
		}
		before += published.length;
	}

	beforeAll(async () => {
		directory = mkdtempSync("/dev/shm/shardcast-test-");
		redis = await RedisServer.start();
		await Promise.all([startNode("n1", 1), startNode("n2", 2)]);
		edges.push(await startEdge(), await startEdge());
		await Promise.all(edges.map((each) => takesClients(each, "n1,n2")));
		const urls = () => edges.map(({ address }) => `ws://${address}`);
		for (let index = 0; index < clientsCount; index++) clients.push(new RoamingReader(urls, index, channel));
		await Promise.all(clients.map(({ subscription }) => subscription.ready(waitMs)));
	});
	afterAll(async () => {
		for (const { client } of clients) client.disconnect();
		try {
			for (const { process } of edges) await process.stop();
			for (const node of nodes.values()) await node.stop();
		} finally {
			await redis?.stop();
			rmSync(directory, { recursive: true, force: true });
		}
	});

	it("spread the clients over the nodes, and each publication reaches each client once", async () => {
		for (const id of nodes.keys()) expect(await connectionsOf(id)).toBeGreaterThanOrEqual(clientsCount / 4);
		const running = publisher();
		await running.more(40);
		await running.stop();
		await allHave(running.published);
		expect(clients.map(({ codes }) => codes.length)).toEqual(clients.map(() => 0));
	});

	it("a node is killed: its clients recover everything through the edges on the other one, and nobody else moves", async () => {
		const running = publisher();
		await running.more(20);
		const moving = await connectionsOf("n2");
		const n2 = nodes.get("n2")!;
		nodes.delete("n2");
		const killedMs = performance.now();
		await n2.kill9("supervisor");
		await waitFor(async () => (await connectionsOf("n1")) >= clientsCount, { deadlineMs: waitMs, what: "all clients on n1" });
		await running.more(20);
		await running.stop();
		await allHave(running.published);
		const moved = clients.filter(({ codes }) => codes.length > 0);
		// Publications that were on their way are connections, too.
		expect(Math.abs(moved.length - moving), `${moved.length} moved, ${moving} connections`).toBeLessThanOrEqual(2);
		const tookMs = moved.map(({ subscribedMs }) => Math.round(subscribedMs - killedMs));
		console.log(
			`node killed: ${moved.length} clients subscribed again through the edges after ${Math.min(...tookMs)}–${Math.max(...tookMs)} ms`,
		);
	});

	it("the node comes back, at another address: it gets clients again", { tags: ["long"] }, async () => {
		await startNode("n2", 1);
		await Promise.all(edges.map((each) => takesClients(each, "n1,n2")));
		const late = new RoamingReader(() => edges.map(({ address }) => `ws://${address}`), 0, channel);
		try {
			await late.subscription.ready(waitMs);
			expect(await connectionsOf("n2")).toBe(1);
		} finally {
			late.client.disconnect();
		}
	});

	it("an edge is killed: its clients recover everything through the other edge", async () => {
		const running = publisher();
		await running.more(20);
		const [killed] = edges.splice(0, 1);
		killed!.process.signal("SIGKILL");
		await killed!.process.exited;
		await running.more(20);
		await waitFor(() => clients.every(({ client }) => client.state === "connected"), { deadlineMs: waitMs, what: "all clients" });
		await running.more(5);
		await running.stop();
		await allHave(running.published);
	});
});
