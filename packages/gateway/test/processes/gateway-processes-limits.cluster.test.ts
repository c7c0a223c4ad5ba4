import { execFile } from "node:child_process";
import { createHmac } from "node:crypto";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Cluster, getJson, ManagedProcess, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { FakeBackend, frameBytes } from "../support/fake-backend.ts";
import { RigClient } from "../support/gateway-rig.ts";

const main = join(import.meta.dirname, "../../../../apps/supervisor/dist/main.js");
const control = 1;
const within = { deadlineMs: 30_000 };
const key = "a-key-of-the-tests-long-enough";
const closing: (() => unknown)[] = [];
afterEach(async () => {
	for (const close of closing.splice(0).reverse()) await close();
});

const slotOf = (client: RigClient): number => client.id >>> 26;

function tokenOf(user: string): string {
	const [head, claims] = [{ alg: "HS256", typ: "JWT" }, { sub: user }].map((part) =>
		Buffer.from(JSON.stringify(part)).toString("base64url"),
	);
	return `${head}.${claims}.${createHmac("sha256", key).update(`${head}.${claims}`).digest("base64url")}`;
}

/** A gateway with a backend that sends CONTROL frames back. */
async function start(...args: string[]) {
	const backend = await FakeBackend.open();
	closing.push(() => backend.close());
	backend.onConnection = (connection) => {
		connection.onFrame = ({ frameClass, clientId, content }) => {
			if (frameClass === control) connection.socket.write(frameBytes(control, clientId, content));
		};
	};
	const program = await ManagedProcess.start(main, ["gateway", "127.0.0.1:0", `127.0.0.1:${backend.port}`, ...args], { env: {} });
	closing.push(() => program.stop());
	const [, port, processes] = await program.waitForOutput(/ws:\/\/127\.0\.0\.1:(\d+), http.*; (\d+) processes on CPUs/, 60_000);
	const cluster = new Cluster(program, 0, Number(port));
	await cluster.ready();
	const connect = (query = ""): RigClient => {
		const client = new RigClient(`${cluster.url}/${query}`);
		closing.push(() => client.socket.terminate());
		return client;
	};
	return { cluster, connect, processes: Number(processes) };
}

/** The answer to a client that is refused. */
function refusalOf({ socket }: RigClient): Promise<{ readonly status: number; readonly code: string; readonly message: string }> {
	return new Promise((resolve, reject) => {
		socket.once("open", () => reject(new Error("the client was not refused")));
		socket.once("unexpected-response", (_, response) => {
			let body = "";
			response.on("data", (piece: Buffer) => {
				body += piece.toString();
			});
			response.on("end", () => resolve({ status: response.statusCode!, ...JSON.parse(body).error }));
		});
	});
}

describe("a gateway of several processes", () => {
	it("counts the clients of a user over all, says what is full in its own words, and closes and refuses a user who is kicked and blocked", async () => {
		const limits = ["--user-connection-limit", "3", "--max-connections", "4"];
		const { cluster, connect } = await start("--shards", "2", "--token-hmac-secret", key, ...limits);
		const as = (user: string) => connect(`?token=${tokenOf(user)}`);
		const clients: RigClient[] = [];
		// The balancer leaves out a process that has stood still for a while.
		const joined = (user: string) => waitFor(() => as(user).welcome(), { ...within, what: `a client of ${user}` });
		// That is also why it says 503; 101 = the client was not refused.
		const statusFor = (user: string) =>
			waitFor(
				async () => {
					const status = await refusalOf(as(user)).then(
						(answer) => answer.status,
						() => 101,
					);
					return status === 503 ? null : status;
				},
				{ ...within, what: `an answer to ${user}` },
			);
		for (let count = 0; count < 3; count++) clients.push(await joined("ann"));
		expect(new Set(clients.map(slotOf))).toEqual(new Set([0, 1]));
		expect(await statusFor("ann")).toBe(429);
		await joined("bob");
		const refused = await refusalOf(as("carol"));
		expect([refused.status, refused.message]).toEqual([503, "2 of 2 processes of the gateway serve, all full: 4/4 connections"]);
		const reasons = async () => (await getJson<{ readonly reasons: readonly string[] }>(`${cluster.httpUrl}/health`)).reasons;
		await expect.poll(reasons).toContain("gateway 0: 100 % of its connections are in use");
		expect((await reasons()).join()).not.toMatch(/shard|cluster/);
		const [gone] = clients;
		gone!.socket.close();
		await joined("ann");
		const kick = [main, "kick", "ann", "--block", "10m", "--pid", String(cluster.process.pid)];
		const { stdout } = await promisify(execFile)(process.execPath, kick, { timeout: 30_000 });
		expect(stdout).toContain('closed 3 connections of user "ann"');
		for (const client of clients.slice(1)) expect(await client.closing()).toEqual({ code: 3503, reason: "force disconnect" });
		expect(await statusFor("ann"), "a blocked user").toBe(403);
		// A process that starts later gets the list from the supervisor.
		const killed = await Promise.all([0, 1].map((slot) => cluster.kill9(slot)));
		// Just after the deaths, health may still tell of the dead ones.
		const serve = async () => (await cluster.health()).shards.every(({ status, pid }) => status === "healthy" && !killed.includes(pid));
		await waitFor(serve, { ...within, what: "both processes again" });
		await cluster.ready();
		await joined("bob");
		for (let count = 0; count < 4; count++) expect(await statusFor("ann"), "after a restart").toBe(403);
	});

	it("--shards 0 is one per CPU; after kill -9 of the balancer, clients stay connected, and new ones are served again", {
		tags: ["long"],
	}, async () => {
		const { cluster, connect, processes } = await start("--shards", "0");
		expect(processes).toBe(availableParallelism());
		const clients = await Promise.all(Array.from({ length: 8 }, () => connect().welcome()));
		expect(new Set(clients.map(slotOf)).size).toBe(processes);
		const pid = async () => (await cluster.health()).balancer.pid;
		const before = await pid();
		await cluster.kill9("balancer");
		for (const client of clients) client.send(control, 1, "still here");
		await waitFor(() => clients.every(({ texts }) => texts.includes("still here")), { ...within, what: "answers without a balancer" });
		await waitFor(async () => (await pid()) !== before, { ...within, what: "another balancer" });
		const added = await waitFor(() => connect().welcome(), { ...within, what: "a new client" });
		added.send(control, 1, "new");
		await waitFor(() => added.texts.includes("new"), { ...within, what: "its answer" });
		expect(clients.map(({ closed }) => closed)).toEqual(clients.map(() => null));
	});
});
