import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { requestAllowance } from "@shardcast/scoreboard";
import { type Cluster, httpRequest, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";

interface Answer {
	readonly status: number;
	readonly head: string;
	readonly body: string;
	readonly socket: Socket;
}

const sockets: Socket[] = [];

const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const upgradeHead = `GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`;
const publishHead = "POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n";

/** Asks for a WebSocket from that address of this machine; on a connection that has published `published` messages if it is to. */
function upgrade(port: number, localAddress = "127.0.0.1", published = 0): Promise<Answer> {
	return ask(port, localAddress, `${publishHead}{"data": 1}`.repeat(published) + upgradeHead, published);
}

/** Sends it all at once and resolves with the answer behind `skipped` others: when it is 101, or the connection ends. */
function ask(port: number, localAddress: string, request: string, skipped = 0): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const socket = connect({ port, host: "127.0.0.1", localAddress });
		sockets.push(socket);
		let text = "";
		const answered = () => {
			const answers = text.split(/(?=HTTP\/1\.1 \d{3} )/);
			const [head = "", body = ""] = (answers[skipped] ?? "").split("\r\n\r\n");
			const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
			resolve({ status, head, body, socket });
		};
		socket.on("error", reject);
		socket.on("data", (chunk: Buffer) => {
			text += chunk.toString("latin1");
			if (/HTTP\/1\.1 101[\s\S]*\r\n\r\n/.test(text)) answered();
		});
		socket.on("close", answered);
		socket.write(request);
	});
}

/** Asks for a WebSocket from that address, with these lines of X-Forwarded-For. */
async function forwarded(port: number, localAddress: string, ...lines: string[]): Promise<number> {
	const head = upgradeHead.replace("\r\n\r\n", `\r\n${lines.map((line) => `X-Forwarded-For: ${line}\r\n`).join("")}\r\n`);
	return (await ask(port, localAddress, head)).status;
}

/** Publishes one message after the other; how many were taken, and how many could have been by then at five per second. */
async function publishAtFive(ports: readonly number[], localAddress: string, times: number) {
	const beganMs = performance.now();
	let taken = 0;
	for (let count = 0; count < times; count++) {
		// An origin that is not allowed, or anything else that ends the connection, would show as no 200.
		const request = `${publishHead.replace("Host", "Connection: close\r\nHost")}{"data": 1}`;
		if ((await ask(ports[count % ports.length]!, localAddress, request)).status === 200) taken++;
	}
	return { taken, allowed: 5 + Math.ceil(((performance.now() - beganMs) / 1000) * 5) };
}

const statuses = async (port: number, times: number, localAddress?: string) => {
	const answers: number[] = [];
	for (let count = 0; count < times; count++) answers.push((await upgrade(port, localAddress)).status);
	return answers;
};
/** How many of so many attempts are let in, and how many may be by then at five per second. */
async function admittedAtFive(attempt: (index: number) => Promise<Answer>, times = 15) {
	const beganMs = performance.now();
	const answers: number[] = [];
	for (let count = 0; count < times; count++) answers.push((await attempt(count)).status);
	return { answers, count: admitted(answers), allowed: 5 + Math.ceil(((performance.now() - beganMs) / 1000) * 5) };
}
const admitted = (answers: readonly number[]) => answers.filter((status) => status === 101).length;
const balancerPort = (cluster: Cluster) => Number(new URL(cluster.url).port);
const shardPort = (cluster: Cluster, shard: number) => cluster.basePort + shard;

afterEach(() => {
	for (const socket of sockets.splice(0)) socket.destroy();
});

for (const mode of ["handoff", "proxy"] as const)
	describe(`rates of new connections, ${mode}`, { tags: mode === "proxy" ? ["long"] : [] }, () => {
		const start = (...flags: string[]) => startCluster({ shards: 2, flags: ["--lb-mode", mode, ...flags] });

		it("per address: 429 with a reason above it, whichever port is asked and however; other addresses, requests and probes go on", async () => {
			const cluster = await start("--connection-rate-per-ip", "5");
			try {
				const beganMs = performance.now();
				const { answers, count, allowed } = await admittedAtFive(() => upgrade(balancerPort(cluster)), 12);
				// Some come back while the test runs.
				expect(count).toBeGreaterThanOrEqual(5);
				expect(count).toBeLessThanOrEqual(allowed);
				const refusals = answers.filter((status) => status === 429).length;
				expect(count + refusals, `${answers}`).toBe(12);
				const refused = await waitFor(
					async () => {
						const answer = await upgrade(balancerPort(cluster));
						return answer.status === 429 ? answer : null;
					},
					{ deadlineMs: 5_000, what: "a refusal", everyMs: 1 },
				);
				expect(refused.head).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/);
				expect(refused.head).toMatch(/\r\nRetry-After: 1\r\n/);
				expect(JSON.parse(refused.body)).toEqual({
					error: { code: "connection_rate_per_ip", message: expect.stringMatching(/one address/) },
				});
				expect((await upgrade(balancerPort(cluster), "127.0.0.2")).status).toBe(101);
				for (let count = 0; count < 10; count++) {
					expect((await httpRequest(`${cluster.httpUrl}/health`)).status).toBe(200);
					expect((await httpRequest(`${cluster.httpUrl}/api/publish`, { method: "POST", body: '{"data":1}' })).status).toBe(200);
				}

				const ports = [shardPort(cluster, 0), shardPort(cluster, 1), balancerPort(cluster)];
				const anywhere = await admittedAtFive((index) => upgrade(ports[index % 3]!, "127.0.0.9"), 30);
				expect(anywhere.count).toBeGreaterThanOrEqual(5);
				expect(anywhere.count).toBeLessThanOrEqual(anywhere.allowed);
				const afterRequests = await admittedAtFive((index) => upgrade(balancerPort(cluster), "127.0.0.10", 1 + (index % 2)), 30);
				expect(afterRequests.count).toBeGreaterThanOrEqual(5);
				expect(afterRequests.count).toBeLessThanOrEqual(afterRequests.allowed);
				const withoutConnection = upgradeHead.replace("Connection: Upgrade\r\n", "");
				for (const port of ports) expect((await ask(port, "127.0.0.11", withoutConnection)).status).toBe(426);
				for (const shard of [0, 1]) {
					const direct = await waitFor(
						async () => {
							const answer = await upgrade(shardPort(cluster, shard), "127.0.0.9");
							return answer.status === 429 ? answer : null;
						},
						{ deadlineMs: 5_000, what: `a refusal of shard ${shard}`, everyMs: 1 },
					);
					expect(direct.head).toMatch(/\r\nRetry-After: 1\r\n/);
					expect(JSON.parse(direct.body).error.code).toBe("connection_rate_per_ip");
				}

				const scrape = await Scrape.of(cluster.httpUrl);
				expect(scrape.sum("shardcast_balancer_connections_total", { outcome: "refused_rate_per_ip" })).toBeGreaterThanOrEqual(refusals + 1);
				expect(scrape.sum("shardcast_balancer_connections_total", { outcome: "refused_rate" })).toBe(0);
				expect(scrape.sum("shardcast_connections_refused_total", { shard: "1", reason: "rate_per_ip" })).toBeGreaterThanOrEqual(1);
				// Of all these refusals, one line of each process: the balancer's first, then the shards'. After ten seconds it may be another.
				const lines = (address: string) =>
					[...cluster.log().matchAll(/--connection-rate-per-ip is reached: refused a connection from ([\d.]*\d)/g)].filter(
						([, from]) => from === address,
					).length;
				await waitFor(() => lines("127.0.0.1") >= 1 && lines("127.0.0.9") >= 2, { deadlineMs: 5_000, what: "the lines" });
				const periods = 1 + Math.floor((performance.now() - beganMs) / 10_000);
				expect(lines("127.0.0.1")).toBeLessThanOrEqual(periods);
				expect(lines("127.0.0.9")).toBeLessThanOrEqual(3 * periods - 1);
			} finally {
				await cluster.stop();
			}
		});

		it("global: a burst of a second's worth, whoever asks and where; messages over HTTP of one address on all shards together", async () => {
			const cluster = await start("--connection-rate", "20", "--message-rate", "5");
			try {
				// So many that some are refused, also when the machine takes seconds for them.
				const attempts = 160;
				const beganMs = performance.now();
				const answers = await Promise.all(
					Array.from({ length: attempts }, (_, index) => upgrade(balancerPort(cluster), `127.0.0.${2 + (index % 20)}`)),
				);
				const tookMs = performance.now() - beganMs;
				const count = admitted(answers.map(({ status }) => status));
				expect(count).toBeGreaterThanOrEqual(20);
				expect(count).toBeLessThanOrEqual(20 + Math.ceil((tookMs / 1000) * 20));
				expect(JSON.parse(answers.find(({ status }) => status === 429)!.body).error.code).toBe("connection_rate");
				const scrape = await Scrape.of(cluster.httpUrl);
				const refused = scrape.sum("shardcast_balancer_connections_total", { outcome: "refused_rate" });
				expect(refused + scrape.sum("shardcast_connections_refused_total")).toBe(attempts - count);

				const ports = [shardPort(cluster, 0), shardPort(cluster, 1), balancerPort(cluster)];
				for (const address of ["127.0.0.20", "127.0.0.21"]) {
					const { taken, allowed } = await publishAtFive(ports, address, 30);
					expect(taken, address).toBeGreaterThanOrEqual(5);
					expect(taken, address).toBeLessThanOrEqual(allowed);
				}
			} finally {
				await cluster.stop();
			}
		});

		it("connections of one address at once: exact over all shards and ports, over closing, a reload and the death of a shard", async () => {
			const folder = mkdtempSync(join(tmpdir(), "limits-"));
			const file = join(folder, "shardcast.yaml");
			writeFileSync(file, "limits: {max_connections: 100}\n");
			const cluster = await start("--config", file);
			try {
				const before = [(await upgrade(shardPort(cluster, 0))).socket, (await upgrade(shardPort(cluster, 1))).socket];
				writeFileSync(file, "limits: {max_connections: 100, max_connections_per_ip: 6}\nnetwork: {trusted_proxies: [127.0.0.96/30]}\n");
				cluster.process.signal("SIGHUP");
				await cluster.process.waitForOutput(/limits\.max_connections_per_ip 0 → 6/, 5_000);
				// The shards hear of it a little later: each has when it refuses one of seven.
				const hasHeard = async (shard: number) => {
					const tried = await Promise.all(Array.from({ length: 7 }, () => upgrade(shardPort(cluster, shard), `127.0.0.${40 + shard}`)));
					for (const { socket } of tried) socket.destroy();
					return tried.some(({ status }) => status === 429);
				};
				for (const shard of [0, 1]) await waitFor(() => hasHeard(shard), { deadlineMs: 5_000, what: `the limit on shard ${shard}` });
				const connections = (count: number) =>
					waitFor(async () => (await cluster.health()).connections === count, { deadlineMs: 5_000, what: `${count} connections` });
				await connections(2);
				const answers = await Promise.all(Array.from({ length: 40 }, () => upgrade(balancerPort(cluster))));
				const late = admitted(answers.map(({ status }) => status));
				expect(late, "those that were there count").toBeLessThanOrEqual(4);
				const code = JSON.parse(answers.find(({ status }) => status === 429)!.body).error.code;
				expect(code).toBe("connections_per_ip");
				// Two shards that refuse one another's last may leave a place free; then one at a time gets it.
				const one = async () => (await upgrade(balancerPort(cluster))).status;
				for (let count = late; count < 4; count++) expect(await one()).toBe(101);
				expect([await one(), (await upgrade(shardPort(cluster, 1))).status]).toEqual([429, 429]);
				expect((await upgrade(balancerPort(cluster), "127.0.0.2")).status).toBe(101);

				const other = await Promise.all(Array.from({ length: 10 }, () => upgrade(balancerPort(cluster), "127.0.0.3", 1)));
				expect(admitted(other.map(({ status }) => status)), "after a request on the same connection").toBeLessThanOrEqual(6);
				expect(admitted(other.map(({ status }) => status))).toBeGreaterThanOrEqual(5);
				for (const { socket } of other) socket.destroy();

				// A client that closes makes room for one.
				before[0]!.destroy();
				await waitFor(async () => (await one()) === 101, { deadlineMs: 5_000, what: "room after a close" });
				expect(await one()).toBe(429);

				// What a dead shard had is forgotten, what the other has is not.
				await connections(7);
				const open = (await cluster.health()).shards.map(({ connections }) => connections);
				await cluster.kill9(0);
				await waitFor(async () => (await cluster.health()).shards[0]!.restarts === 1 && (await cluster.health()).status === "healthy", {
					deadlineMs: 10_000,
					what: "shard 0 to serve again",
				});
				// 127.0.0.2's connection is on one of the two.
				const again = admitted(await statuses(shardPort(cluster, 1), 10));
				expect(again).toBeGreaterThanOrEqual(open[0]! - 1);
				expect(again).toBeLessThanOrEqual(open[0]!);
				// Behind a load balancer of the trusted list, the client's address counts, which is the last one that is not in the list.
				const ports = [balancerPort(cluster), shardPort(cluster, 0), shardPort(cluster, 1)];
				const through = (index: number, ...lines: string[]) => forwarded(ports[index % 3]!, `127.0.0.${97 + (index % 2)}`, ...lines);
				const lines = [["203.0.113.5"], ["198.51.100.9, 203.0.113.5"], ["198.51.100.8", "203.0.113.5, 127.0.0.98"]];
				const behind: number[] = [];
				for (let index = 0; index < 8; index++) behind.push(await through(index, ...lines[(index >> 1) % 3]!));
				expect(behind, "connections of one client behind trusted proxies").toEqual([...Array(6).fill(101), 429, 429]);
				expect(await through(0, "203.0.113.6"), "another client behind the same proxy").toBe(101);
				const claimed: number[] = [];
				for (let index = 0; index < 7; index++) claimed.push(await forwarded(ports[index % 3]!, "127.0.0.95", `203.0.113.${10 + index}`));
				expect(claimed, "what a client outside of the list claims").toEqual([...Array(6).fill(101), 429]);

				const scrape = await Scrape.of(cluster.httpUrl);
				expect(scrape.sum("shardcast_connections_refused_total", { reason: "per_ip" })).toBeGreaterThanOrEqual(30);
				expect(scrape.sum("shardcast_addresses_lost_total")).toBe(0);
			} finally {
				await cluster.stop();
				rmSync(folder, { recursive: true });
			}
		});
	});

it.each(["handoff", "proxy"])("a full cluster takes the publications of more publishers than may stay connected, %s", async (mode) => {
	const cluster = await startCluster({ shards: 1, flags: ["--lb-mode", mode, "--max-connections", "2"] });
	const agents = Array.from({ length: 2 * requestAllowance }, () => new Agent({ keepAlive: true }));
	const publish = (agent: Agent): Promise<number> =>
		new Promise((resolve, reject) => {
			const asked = request(`${cluster.httpUrl}/api/publish`, { method: "POST", agent }, (response) => {
				response.resume().on("end", () => resolve(response.statusCode!));
			});
			asked.on("error", reject).end('{"data": 1}');
		});
	try {
		for (let count = 0; count < 2; count++) expect((await upgrade(balancerPort(cluster))).status).toBe(101);
		for (let round = 0; round < 2; round++)
			for (const [at, agent] of agents.entries()) expect(await publish(agent), `publisher ${at}, round ${round}`).toBe(200);
		expect((await upgrade(balancerPort(cluster))).status, "a client").toBe(503);
	} finally {
		for (const agent of agents) agent.destroy();
		await cluster.stop();
	}
});
