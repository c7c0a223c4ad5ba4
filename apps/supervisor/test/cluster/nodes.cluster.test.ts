import { spawnSync } from "node:child_process";
import { join } from "node:path";
import {
	type Cluster,
	getJson,
	httpRequest,
	LibraryClient,
	ManagedProcess,
	RedisServer,
	redisForTests,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

interface Nodes {
	readonly id: string;
	readonly state: string;
	readonly nodes: readonly {
		id: string;
		address: string;
		region: string;
		status: string;
		health: string;
		shards: number;
		away?: boolean;
	}[];
	readonly totals: Readonly<Record<string, number>>;
}

const waitMs = 20_000;
const heartbeat = ["--node-heartbeat", "400ms", "--redis-timeout", "1s"];
/** n3 is the one that is killed and stopped; the others must not expire on a busy machine. n4 is killed when its end matters before it expires. */
const timeouts: Readonly<Record<string, number>> = { n1: 5000, n2: 5000, n3: 3000, n4: 60_000 };
const bin = join(import.meta.dirname, "../../dist/main.js");

describe.skipIf(!redisForTests())("several machines with Redis", () => {
	let redis: RedisServer;
	const running = new Map<string, Cluster>();

	const start = async (id: string): Promise<Cluster> => {
		const cluster = await startCluster({
			shards: 1,
			host: `127.0.0.${10 + Number(id.slice(1))}`,
			flags: ["--node-region", `region-${id}`, "--node-timeout", `${timeouts[id]}ms`, "--select-region", "any", ...heartbeat],
			env: { REDIS_URL: `redis://:hunter2@127.0.0.1:${redis.port}`, NODE_ID: id },
		});
		running.set(id, cluster);
		return cluster;
	};
	const seenBy = (id: string) => getJson<Nodes>(`${running.get(id)!.httpUrl}/cluster/nodes`);
	const selectedBy = (entry: string, query = "") =>
		getJson<{ id: string; address: string; url: string; alone?: boolean }>(`${entry}/cluster/select?${query}`);
	/** Waits until a node names these, and no others. */
	const namesAll = (by: string, ...ids: readonly string[]) =>
		waitFor(
			async () => {
				const named = await Promise.all(Array.from({ length: 12 }, () => selectedBy(running.get(by)!.httpUrl)));
				const all = [...new Set(named.map(({ id }) => id))].sort().join(", ");
				if (all !== ids.join(", ")) throw new Error(`${by} names ${all}`);
				return true;
			},
			{ deadlineMs: waitMs, what: `that ${by} names ${ids.join(", ")}`, everyMs: 50 },
		);
	const cli = (...args: readonly string[]) =>
		spawnSync("redis-cli", ["-p", String(redis.port), "-a", "hunter2", "--no-auth-warning", ...args], { encoding: "utf8" }).stdout.trim();
	const logged = (id: string, text: string) => running.get(id)!.log().split(text).length - 1;
	/** A line comes through a pipe, and may be later than an answer that says the same. */
	const joinedOnceMore = (by: string, id: string) =>
		waitFor(() => expect(logged(by, `node ${id} joined:`)).toBe(logged(by, `node ${id} left:`) + 1), {
			deadlineMs: waitMs,
			what: `that ${id} has joined once more than it has left`,
		});
	/** Waits for this text in the metrics of a node: a process that is late is missing in them. */
	const inMetrics = (id: string, text: string) =>
		waitFor(async () => expect((await httpRequest(`${running.get(id)!.httpUrl}/metrics`)).body).toContain(text), {
			deadlineMs: waitMs,
			what: `the metrics of ${id}`,
			everyMs: 100,
		});
	/** Waits until these, and no others, are there, as each of them sees it. */
	const together = (...ids: readonly string[]) =>
		waitFor(
			async () => {
				for (const id of ids) {
					const { state, nodes } = await seenBy(id);
					const all = nodes.map((node) => `${node.id} ${node.status}`).join(", ");
					if (state !== "member" || all !== ids.map((each) => `${each} serving`).join(", "))
						throw new Error(`${id} is ${state}, and sees ${all}`);
				}
				return true;
			},
			{ deadlineMs: waitMs, what: `${ids.join(", ")} together`, everyMs: 50 },
		);

	beforeAll(async () => {
		redis = await RedisServer.start({ password: "hunter2" });
		await Promise.all(["n1", "n2", "n3"].map(start));
	});
	afterAll(async () => {
		try {
			await Promise.all([...running.values()].map((cluster) => cluster.stop()));
		} finally {
			await redis.stop();
		}
	});

	it("they find each other, and each tells of all: over HTTP, in /health, in the metrics, in Redis", async () => {
		await together("n1", "n2", "n3");
		const { nodes, totals } = await seenBy("n2");
		expect(nodes.map(({ id, address, region, shards }) => ({ id, address, region, shards }))).toEqual(
			["n1", "n2", "n3"].map((id) => ({ id, address: new URL(running.get(id)!.httpUrl).host, region: `region-${id}`, shards: 1 })),
		);
		expect(totals).toMatchObject({ nodes: 3 });
		await waitFor(async () => (await running.get("n1")!.health()).status === "healthy", { deadlineMs: waitMs, what: "a healthy n1" });
		expect((await running.get("n1")!.health()).node).toEqual({ id: "n1", state: "member", nodes: 3 });
		await inMetrics("n3", 'shardcast_node_state{state="member",process="supervisor"} 1\n');
		await inMetrics("n3", 'shardcast_redis_state{state="ready",process="supervisor"} 1\n');
		expect(JSON.parse(cli("GET", "ws:cluster:node:n3"))).toMatchObject({ id: "n3", region: "region-n3", status: "serving" });
		expect(Number(cli("PTTL", "ws:cluster:node:n3")), "the entry expires").toBeLessThanOrEqual(timeouts.n3);
		expect(cli("ZRANGE", "ws:cluster:nodes", "0", "-1").split("\n").toSorted()).toEqual(["n1", "n2", "n3"]);
		await waitFor(() => cli("HGET", "ws:cluster:metrics", "nodes") === "3", { deadlineMs: waitMs, what: "the totals in Redis" });
	});

	it("each selects nodes for clients, on the balancer's port and on a shard's, and clients reach the node that they are told", async () => {
		const n1 = running.get("n1")!;
		const { shards } = await n1.health();
		const selections: number[] = [];
		for (const entry of [n1.httpUrl, `http://127.0.0.1:${shards[0]!.port}`]) {
			let named: Awaited<ReturnType<typeof selectedBy>>[] = [];
			let asked = 0;
			// Of nodes with as many connections, each is named at random: once in forty times twelve miss one.
			const namesAll = async (): Promise<boolean> => {
				named = await Promise.all(Array.from({ length: 12 }, () => selectedBy(entry)));
				asked += named.length;
				return new Set(named.map(({ id }) => id)).size === 3;
			};
			await waitFor(namesAll, { deadlineMs: 20_000, everyMs: 500, what: `all nodes to be named by ${entry}` });
			for (const { id, url, address } of named)
				expect({ url, address }, id).toEqual({ url: running.get(id)!.url, address: new URL(url).host });
			// A node that is late with its heartbeat is selected no more meanwhile.
			const names = (id: string, query: string) =>
				waitFor(
					async () => {
						asked++;
						return (await selectedBy(entry, query)).id === id;
					},
					{ deadlineMs: waitMs, everyMs: 200, what: `${id} to be named by ${entry} for ${query}` },
				);
			await names("n2", "region=region-n2");
			await names("n3", "region=region-n2&avoid=n2,n1");
			selections.push(asked);
			const client = await LibraryClient.open(named[0]!.url);
			await client.close();
		}
		await inMetrics("n1", `shardcast_node_selections_total{result="selected",process="balancer"} ${selections[0]}\n`);
		await inMetrics("n1", `shardcast_node_selections_total{result="selected",shard="0"} ${selections[1]}\n`);
		const page = await httpRequest(`${n1.httpUrl}/cluster/select`, { headers: { Origin: "http://other.example" } });
		expect(page.status, "a page of another site").toBe(403);
	});

	it("the password of Redis is in no log, no error and no process list", async () => {
		for (const cluster of running.values()) {
			expect(cluster.log()).not.toContain("hunter2");
			expect(
				spawnSync("ps", ["-eo", "args"], { encoding: "utf8" })
					.stdout.split("\n")
					.filter((line) => /hunter2/.test(line) && !/redis-(server|cli)/.test(line)),
			).toEqual([]);
		}
	});

	it("a second machine with the same id is refused, with what to do", async () => {
		const second = await ManagedProcess.start(
			bin,
			["multi", "--shards", "1", "--base-port", "1", "--lb-addr", "127.0.0.1:0", "--node-id", "n1", ...heartbeat],
			{
				env: { REDIS_URL: `redis://:hunter2@127.0.0.1:${redis.port}` },
			},
		);
		expect((await second.exited).code).toBe(2);
		expect(second.log()).toMatch(/--node-id: the id "n1" is in use by another node, at 127\.0\.0\.11:\d+; give each node its own id/);
		await together("n1", "n2", "n3");
	});

	it("one that is killed has left within the node timeout, is told of once, and may start again at once", async () => {
		await running.get("n3")!.kill9("supervisor");
		await waitFor(() => logged("n1", "node n3 left: its heartbeats stopped") > 0, { deadlineMs: waitMs, what: "that n1 tells of it" });
		await together("n1", "n2");
		await namesAll("n1", "n1", "n2");
		expect(cli("ZRANGE", "ws:cluster:nodes", "0", "-1").split("\n").toSorted()).toEqual(["n1", "n2"]);
		await start("n3");
		await together("n1", "n2", "n3");
		await joinedOnceMore("n2", "n3");
	});

	it("one that is stopped for longer than the node timeout has left, and comes back once, when it goes on", {
		tags: ["long"],
	}, async () => {
		const before = logged("n1", "node n3 left:");
		const n3 = running.get("n3")!;
		const pids = [...(await n3.pids()).values()];
		for (const pid of pids) process.kill(pid, "SIGSTOP");
		try {
			await together("n1", "n2");
		} finally {
			for (const pid of pids) process.kill(pid, "SIGCONT");
		}
		await together("n1", "n2", "n3");
		await waitFor(() => logged("n1", "node n3 left:") > before, { deadlineMs: waitMs, what: "that n1 tells of it" });
		await joinedOnceMore("n1", "n3");
		await n3.process.waitForOutput(/node n3: it is cut off from the others: [^"]*; its own clients are served on/, waitMs);
		await n3.process.waitForOutput(/node n3 is back among the other nodes after \d/, waitMs);
		expect(logged("n3", "node n1 left:"), "to n3 the others were there all the time").toBe(0);
	});

	it("while Redis is away each serves its clients alone and says so, one may start, and afterwards nobody has left or joined twice", {
		tags: ["long"],
	}, async () => {
		const events = () => ["n1", "n2", "n3"].map((id) => [logged(id, " left:"), logged(id, " joined:")]);
		const before = events();
		await redis.end();
		for (const id of ["n1", "n2", "n3"])
			await waitFor(async () => (await running.get(id)!.health()).node?.state === "cutOff", { deadlineMs: waitMs, what: `${id} cut off` });
		const told = async () => {
			const { status, reasons, node } = await running.get("n1")!.health();
			expect(status).toBe("degraded");
			expect(reasons).toEqual([expect.stringMatching(/^node n1: it is cut off from the others: .*ECONNREFUSED/)]);
			expect(node).toMatchObject({ nodes: 3 });
			return true;
		};
		// Its first reason may be the connection that has ended, and a shard that is late is told of meanwhile.
		await waitFor(told, { deadlineMs: waitMs, what: "why n1 is cut off" });
		expect(await selectedBy(running.get("n1")!.httpUrl, "avoid=n1"), "it knows only itself").toMatchObject({ id: "n1", alone: true });

		const [sender, receiver] = await Promise.all([LibraryClient.open(running.get("n1")!.url), LibraryClient.open(running.get("n1")!.url)]);
		sender.send("still here");
		await receiver.waitForMessages(1);
		expect(receiver.texts(), "clients of one machine reach each other").toEqual(["still here"]);
		await Promise.all([sender.close(), receiver.close()]);

		const n4 = await start("n4");
		const alone = /cannot use Redis at redis:\/\/127\.0\.0\.1:\d+: .*; node n4 serves its clients alone, and tries again/;
		await n4.process.waitForOutput(alone, waitMs);
		expect((await n4.health()).node?.state).toBe("joining");
		await waitFor(async () => (await selectedBy(n4.httpUrl)).alone === true, { deadlineMs: waitMs, what: "that n4 names itself" });

		await redis.start();
		await together("n1", "n2", "n3", "n4");
		const onlyN4 = before.map(([left, joined]) => [left, joined + 1]);
		await waitFor(() => expect(events()).toEqual(onlyN4), { deadlineMs: waitMs, what: "that only n4 has joined" });
	});

	it("one that stops in order tells the others at once", async () => {
		const n3 = running.get("n3")!;
		running.delete("n3");
		const stopped = n3.stop();
		await waitFor(() => logged("n1", "node n3 left: it was stopped") === 1, { deadlineMs: waitMs, what: "that n1 knows it" });
		expect((await stopped).code).toBe(0);
		expect(n3.log()).toMatch(/shutting down/);
	});

	it("one that was killed is selected no more, long before it has left", { tags: ["long"] }, async () => {
		// Unless it was started while Redis was away.
		if (!running.has("n4")) await start("n4");
		const ids = [...running.keys()].toSorted();
		await together(...ids);
		const n1 = running.get("n1")!.httpUrl;
		/** n4 comes first for such a client. */
		const selected = async () => (await selectedBy(n1, "region=region-n4")).id;
		await waitFor(async () => (await selected()) === "n4", { deadlineMs: waitMs, what: "that n1 selects it" });
		await running.get("n4")!.kill9("supervisor");
		await waitFor(async () => (await selected()) !== "n4", { deadlineMs: waitMs, what: "that n1 selects another node" });
		const onlyN4 = ids.map((id) => [id, id === "n4" ? true : undefined]);
		const seen = async () => expect((await seenBy("n1")).nodes.map(({ id, away }) => [id, away])).toEqual(onlyN4);
		await waitFor(seen, { deadlineMs: waitMs, what: "only n4 to be away" });
		// Removes what the killed one has left in shared memory.
		await start("n4");
	});
});
