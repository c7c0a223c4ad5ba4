import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { promisify } from "node:util";
import type { RemoteShardHealth } from "@shardcast/scoreboard";
import { Cluster, httpRequest, ManagedProcess, RawClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");
const run = promisify(execFile);
const checks = "check_interval: 200ms, check_timeout: 2s";
const open = "auth: { require: false }\nnetwork: { trusted_proxies: [127.0.0.1] }\n";

/** Two clusters on this machine, as on two: each passes clients on to the other, three times as many as it keeps. */
describe("a balancer with a shard of another machine", () => {
	let folder: string;
	let here: Cluster;
	let there: Cluster;
	let clients: RawClient[] = [];
	const file = (name: "here" | "there") => join(folder, `${name}.yaml`);
	const write = (name: "here" | "there", shards: readonly string[]) =>
		writeFileSync(
			file(name),
			`${open}balancer: { strategy: weighted, mode: proxy, weights: [1] }\nremote: { shards: [${shards.join()}], ${checks} }\n`,
		);
	const addressOf = (cluster: Cluster) => cluster.url.slice("ws://".length);
	async function remoteOf(cluster: Cluster): Promise<RemoteShardHealth | undefined> {
		return ((await cluster.health()) as unknown as { remoteShards?: RemoteShardHealth[] }).remoteShards?.[0];
	}
	const becomes = (status: RemoteShardHealth["status"]) =>
		waitFor(async () => (await remoteOf(here))?.status === status, { deadlineMs: 20_000, what: `the remote shard to be ${status}` });
	async function reload(cluster: Cluster, name: "here" | "there", shards: readonly string[]): Promise<void> {
		const before = cluster.log().length;
		write(name, shards);
		cluster.process.signal("SIGHUP");
		await cluster.process.waitUntil(() => cluster.log().slice(before).includes("configuration reloaded"), "the answer to SIGHUP", 10_000);
	}
	/** Connects so many clients, one after the other. None is refused. */
	async function connect(count: number): Promise<void> {
		for (let made = 0; made < count; made++) clients.push(await RawClient.open(here.url));
	}
	/** While it runs, the remote shard is one that says that it is well, whatever it does with WebSockets. */
	async function withImpostor(onUpgrade: (socket: Duplex) => void, work: () => Promise<void>): Promise<void> {
		const health = JSON.stringify({ status: "healthy", draining: false, connections: 0, maxConnections: 100 });
		const server = createServer((_request, response) => response.end(health));
		server.on("upgrade", (_request, socket) => onUpgrade(socket));
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		try {
			await reload(here, "here", [`127.0.0.1:${(server.address() as AddressInfo).port}=3`]);
			await becomes("healthy");
			await work();
		} finally {
			server.closeAllConnections();
			server.close();
			await reload(here, "here", [`${addressOf(there)}=3`]);
			await becomes("healthy");
			await leave();
		}
	}
	async function leave(): Promise<void> {
		await Promise.allSettled(clients.map((client) => client.close()));
		clients = [];
		await settled(0, 0);
	}
	/** Clients on the shard here, and on the other machine. */
	const settled = (own: number, others: number) =>
		waitFor(
			async () => {
				const counts = [(await here.health()).connections, (await remoteOf(here))?.open ?? 0];
				if (counts[0] !== own || counts[1] !== others) throw new Error(`${counts} connections, not ${own} and ${others}`);
				return true;
			},
			{ deadlineMs: 10_000, what: `${own} clients here and ${others} there` },
		);

	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "remote-"));
		write("there", []);
		there = await startCluster({ shards: 1, flags: ["--config", file("there")] });
		write("here", [`${addressOf(there)}=3`]);
		here = await startCluster({ shards: 1, flags: ["--config", file("here")] });
		await becomes("healthy");
		// Each is a remote shard of the other one.
		await reload(there, "there", [`${addressOf(here)}=3`]);
		await waitFor(async () => (await remoteOf(there))?.status === "healthy", {
			deadlineMs: 20_000,
			what: "the other machine to know this one",
		});
	});
	afterAll(async () => {
		await Promise.allSettled(clients.map((client) => client.close()));
		try {
			await here?.stop();
		} finally {
			await there?.stop();
			rmSync(folder, { recursive: true });
		}
	});

	it("gives it clients by weight, and those stay there although it passes its own on, too", async () => {
		await connect(20);
		await settled(5, 15);
		expect((await there.health()).connections).toBe(15);
		const remote = addressOf(there);
		// A busy balancer may be missing in an answer.
		const metrics = await waitFor(
			async () => {
				const scrape = await Scrape.of(here.httpUrl);
				return scrape.sum("shardcast_balancer_remote_open_connections", { remote }) > 0 ? scrape : null;
			},
			{ deadlineMs: 10_000, what: "the balancer's metrics" },
		);
		expect(metrics.sum("shardcast_balancer_remote_open_connections", { remote })).toBe(15);
		expect(metrics.sum("shardcast_balancer_remote_assignments_total", { remote, result: "connected" })).toBeGreaterThanOrEqual(15);
		expect(metrics.sum("shardcast_balancer_remote_up", { remote })).toBe(1);
		// The balancer tells the supervisor once a second.
		const line = new RegExp(`remote +${remote} +healthy +weight 3 +15 of \\d+ connections +15 through this balancer`);
		const isShown = async () => line.test((await run(process.execPath, [main, "status", "--pid", String(here.process.pid)])).stdout);
		await waitFor(isShown, { deadlineMs: 10_000, what: "the remote shard in the status", everyMs: 200 });
		await leave();
	});

	it("with the weight 0 it gets no new clients and keeps those that it has, without a restart", async () => {
		await connect(4);
		await settled(1, 3);
		await reload(here, "here", [`${addressOf(there)}=0`]);
		await becomes("draining");
		await connect(5);
		await settled(6, 3);
		await reload(here, "here", [`${addressOf(there)}=3`]);
		await becomes("healthy");
		await leave();
	});

	it("one that says that it is well, and breaks each connection, is left alone for a second: the next clients come here", async () => {
		let broken = 0;
		await withImpostor(
			(socket) => {
				broken++;
				socket.destroy();
			},
			async () => {
				// Before the second begins in which it is left alone.
				let beganMs = 0;
				const isBroken = async (): Promise<boolean> => {
					beganMs = performance.now();
					const client = await RawClient.open(here.url).catch(() => null);
					if (client !== null) clients.push(client);
					return client === null;
				};
				await waitFor(isBroken, { deadlineMs: 10_000, what: "a client whose connection is broken" });
				let failed = 0;
				const refused = () => void failed++;
				// Its /health, which the balancer asks at once, says that all is well.
				while (performance.now() - beganMs < 500) await RawClient.open(here.url).then((client) => client.close(), refused);
				// On a machine that is so busy that one of these took seconds, a few more may have been sent there.
				expect(failed).toBeLessThanOrEqual(Math.floor((performance.now() - beganMs) / 1000));
				expect(broken).toBeGreaterThan(0);
			},
		);
	});

	it.each([503, 404])(
		"one that says that it is well, and answers each WebSocket with %d: its clients come here, and none is refused",
		async (status) => {
			let answered = 0;
			await withImpostor(
				(socket) => {
					answered++;
					socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`);
				},
				async () => {
					const isAnswered = async () => {
						await connect(1);
						return answered > 0;
					};
					await waitFor(isAnswered, { deadlineMs: 10_000, what: `an answer with ${status}` });
					await connect(5);
					await settled(clients.length, 0);
				},
			);
		},
	);

	it("kill -9 of the other machine: its clients come back at once to this one, none is refused; when it is back, it gets clients again", async () => {
		await connect(8);
		await settled(2, 6);
		const remote = addressOf(there);
		await there.kill9("supervisor");
		// Its processes die with it, one a moment after the other.
		await waitFor(
			() =>
				httpRequest(`${there.httpUrl}/health`).then(
					() => false,
					() => true,
				),
			{ deadlineMs: 10_000, what: "its port to be closed" },
		);
		// Whether a check has failed yet or not.
		await connect(6);
		await settled(8, 0);
		await becomes("unavailable");
		const { status, reasons } = await here.health();
		expect(status).toBe("degraded");
		expect(reasons).toEqual([`remote shard ${remote} cannot be reached: ECONNREFUSED`]);
		expect(here.log()).toMatch(new RegExp(`remote shard ${remote} gets no new clients: it cannot be reached: ECONNREFUSED`));
		await leave();

		const [host, port] = remote.split(":");
		const flags = ["--shards", "1", "--base-port", String(there.basePort), "--lb-addr", `${host}:${port}`, "--config", file("there")];
		there = new Cluster(await ManagedProcess.start(main, ["multi", ...flags]), there.basePort, Number(port));
		await there.ready(60_000);
		await becomes("healthy");
		await connect(8);
		await settled(2, 6);
		const isTold = async () =>
			(await run(process.execPath, [main, "status", "--pid", String(here.process.pid)])).stdout.includes(
				`remote shard ${remote} gets clients, weight 3`,
			);
		await waitFor(isTold, { deadlineMs: 10_000, what: "the event in the status", everyMs: 200 });
		await leave();
	});

	it("while no shard here serves, clients go to the other machine", async () => {
		await here.kill9(0);
		await connect(1);
		await leave();
	});

	it("a rolling restart of this machine does not wait for clients that have gone to the other one", async () => {
		const command = async (...words: string[]) => (await run(process.execPath, [main, ...words, "--pid", String(here.process.pid)])).stdout;
		await waitFor(async () => (await here.health()).status === "healthy", { deadlineMs: 20_000, what: "the shard here to be back" });
		await command("scale", "2");
		await connect(10);
		let comeBack = true;
		/** Until the end of the restart. */
		const staying = clients.map(async (first, at) => {
			for (let client = first; comeBack; clients[at] = client) {
				await client.closed;
				if (!comeBack) return;
				client = await RawClient.open(here.url);
				if (!comeBack) await client.close();
			}
		});
		const told = await command("restart", "--rolling", "--json");
		comeBack = false;
		expect(told).toContain('"outcome":"done"');
		// There is such a line each second, and the wait ends after ten.
		expect(told.split("waiting up to 10s").length - 1, told).toBeLessThan(8);
		await leave();
		await Promise.all(staying);
		await command("scale", "1");
	});

	it("a stop of this machine closes the clients on the other one with 1001, too, and waits for no timeout", async () => {
		await waitFor(async () => (await here.health()).status === "healthy", { deadlineMs: 20_000, what: "the shard here to be back" });
		await connect(8);
		await settled(2, 6);
		// The balancer tells the supervisor once a second.
		const isTold = async () =>
			(await run(process.execPath, [main, "status", "--pid", String(here.process.pid)])).stdout.includes("6 through this balancer");
		await waitFor(isTold, { deadlineMs: 10_000, what: "the clients on the other one in the status", everyMs: 200 });
		const status = await here.stop();
		expect(here.log()).toContain("shutting down: SIGTERM; 2 connections on 1 shard, 6 on remote shards");
		expect((await Promise.all(clients.map(({ closed }) => closed))).map(({ code }) => code)).toEqual(clients.map(() => 1001));
		expect(status).toEqual({ code: 0, signal: null });
		expect(here.log()).toContain("nothing was cut off");
		clients = [];
	});
});
