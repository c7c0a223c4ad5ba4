import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { lstatSync, mkdtempSync, readdirSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type Cluster, freePorts, httpRequest, startCluster, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { runHere } from "../support/run-here.ts";

const main = join(import.meta.dirname, "../../dist/main.js");
const key = "correct-horse-battery";
const secret = "a-secret-of-enough-bytes-surely-32";

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
function tokenOf(user: string): string {
	const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub: user })}`;
	return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}

interface Ran {
	readonly status: number | null;
	readonly stdout: string;
	readonly stderr: string;
}

async function shardcast(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
	const child = spawn(process.execPath, [main, ...args], {
		env: { ...process.env, ...env },
		stdio: ["ignore", "pipe", "pipe"],
		timeout: 60_000,
	});
	const [[status], stdout, stderr] = await Promise.all([once(child, "exit"), text(child.stdout), text(child.stderr)]);
	return { status: status as number | null, stdout, stderr };
}

async function command(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ran> {
	const { code, stdout, stderr } = await runHere(args, env);
	return { status: typeof code === "number" ? code : null, stdout, stderr };
}

/** One cluster for all tests: each leaves it as it was. */
describe("commands to a running cluster", () => {
	let folder: string;
	let shared: string;
	let file: string;
	let socket: string;
	let cluster: Cluster;
	const options = `log: {level: info, format: json}\nadmin_interface: {key: ${key}}\nclient: {token: {hmac_secret_key: ${secret}}}\nauth: {require: false}\n`;

	beforeAll(async () => {
		folder = mkdtempSync(join(tmpdir(), "admin-"));
		shared = mkdtempSync("/dev/shm/shardcast-test-");
		file = join(folder, "shardcast.yaml");
		socket = join(folder, "admin.sock");
		writeFileSync(file, options);
		cluster = await startCluster({ shards: 2, flags: ["--config", file, "--cluster-directory", shared, "--admin-socket", socket] });
	}, 120_000);
	afterAll(async () => {
		await cluster?.stop();
		// Nothing of it is left, neither in its folder nor elsewhere.
		expect(readdirSync(folder)).toEqual(["shardcast.yaml"]);
		rmSync(folder, { recursive: true });
		rmSync(shared, { recursive: true });
	});

	const call = (path: string, { body, headers = {} }: { body?: string; headers?: Record<string, string> } = {}) =>
		httpRequest(`${cluster.httpUrl}${path}`, { method: body === undefined ? "GET" : "POST", headers, ...(body !== undefined && { body }) });
	const withKey = { "x-admin-key": key };
	/** Waits until the metrics have all this. A process that is late is missing in them. */
	const tells = (...lines: readonly RegExp[]) =>
		waitFor(
			async () => {
				const { body } = await call("/metrics");
				for (const line of lines) expect(body).toMatch(line);
				return true;
			},
			{ deadlineMs: 5000, what: "metrics, for which all processes are asked" },
		);

	it("find the cluster without a path, wherever its socket is, and show its state", { timeout: 60_000 }, async () => {
		expect(statSync(socket).mode & 0o777).toBe(0o600);
		const [own] = cluster.sharedDirectories();
		expect(lstatSync(join(own!, "admin.sock")).isSymbolicLink()).toBe(true);
		expect(realpathSync(join(own!, "admin.sock"))).toBe(socket);
		const shown = async () => {
			const { status, stdout, stderr } = await shardcast(["status", "--json", "--cluster-directory", shared]);
			expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
			const end = JSON.parse(stdout);
			expect(end).toMatchObject({
				type: "end",
				outcome: "done",
				result: { command: "multi", pid: cluster.process.pid, health: "healthy" },
			});
			return end;
		};
		// A shard that is late with its heartbeat, on a busy machine, is told of meanwhile.
		const end = await waitFor(shown, { deadlineMs: 10_000, what: "a healthy cluster" });
		expect(end.result.shards.map(({ pid }: { readonly pid: number }) => pid)).toEqual(
			(await cluster.health()).shards.map(({ pid }) => pid),
		);
	});

	it("refuse a second supervisor on the same path, which leaves the first alone", { timeout: 60_000 }, async () => {
		const ports = ["--lb-addr", "127.0.0.1:0", "--base-port", String(await freePorts(2))];
		const { status, stderr } = await shardcast([
			"multi",
			"--shards",
			"1",
			...ports,
			"--cluster-directory",
			shared,
			"--admin-socket",
			socket,
		]);
		expect(status).toBe(2);
		expect(stderr).toContain(`--admin-socket: another process listens on ${socket}; stop it, or give each cluster another path`);
		expect(cluster.sharedDirectories()).toHaveLength(1);
		expect(readdirSync(shared)).toHaveLength(1);
		expect((await command(["status", "--admin-socket", socket])).status).toBe(0);
	});

	it("log-level reaches all processes at once, and reload brings back what the file says", { timeout: 60_000 }, async () => {
		const [before] = [cluster.log().length];
		expect(await command(["log-level", "debug", "--admin-socket", socket])).toMatchObject({
			status: 0,
			stdout: "log level info → debug\n",
		});
		// Each shard has such a line every two seconds, at level debug only.
		for (const shard of [0, 1])
			await cluster.process.waitUntil(
				() => new RegExp(`"level":"debug"[^\\n]*"name":"shard ${shard}"`).test(cluster.log().slice(before)),
				`a line of shard ${shard} at level debug`,
				10_000,
			);
		await cluster.process.waitForOutput(
			/"audit":"admin","who":"[^"]*\(user \d+, pid \d+\)","verb":"log-level","command":"log-level debug","outcome":"done"/,
			10_000,
		);
		writeFileSync(file, `${options}limits: {max_connections: 50}\n`);
		const reloaded = await command(["reload", "--admin-socket", socket]);
		expect(reloaded.status).toBe(0);
		expect(reloaded.stdout).toContain("limits.max_connections 12000 → 50, log.level debug → info");
		writeFileSync(file, `${options}limits: {max_connections: nonsense}\n`);
		// The command itself must not fail by the file that it is to have reloaded.
		const refused = await command(["reload", "--admin-socket", socket], { SHARDCAST_CONFIG: file });
		expect(refused.status).toBe(3);
		expect(refused.stderr).toContain("refused: configuration not reloaded, all options keep their values");
		writeFileSync(file, options);
		expect((await call("/admin/v1/run", { body: '{"verb":"reload"}', headers: withKey })).status).toBe(200);
	});

	it("kick closes the connections of one user, and refuses them for a time", { timeout: 60_000 }, async () => {
		const closed = new Map<string, number>();
		const clients = ["ann", "bob"].map((user) => {
			const client = new Centrifuge(`${cluster.url}/connection/websocket`, { websocket: WebSocket, token: tokenOf(user) });
			client.on("disconnected", ({ code }) => closed.set(user, code));
			client.connect();
			return client;
		});
		try {
			await Promise.all(clients.map((client) => client.ready(15_000)));
			const kicked = await command(["kick", "ann", "--block", "1h", "--json", "--admin-socket", socket]);
			expect(JSON.parse(kicked.stdout)).toMatchObject({ outcome: "done", result: { user: "ann", closed: 1 } });
			await waitFor(() => closed.has("ann"), { deadlineMs: 10_000, what: "ann's client closed" });
			// 3500 and above: it does not come back by itself.
			expect(closed.get("ann")).toBe(3503);
			clients[0]!.connect();
			await waitFor(() => closed.get("ann") === 3507, { deadlineMs: 10_000, what: "ann refused, with a valid token" });
			expect(clients[1]!.state).toBe("connected");
		} finally {
			for (const client of clients) client.disconnect();
		}
	});

	it("over HTTP need the key: 401 without it or with another, then 429, also with the right one", { timeout: 60_000 }, async () => {
		expect((await call("/admin/v1/status")).status).toBe(401);
		expect((await call("/admin/v1/status", { headers: withKey })).status).toBe(200);
		expect((await call("/admin/v1/status", { headers: { authorization: `Bearer ${key}` } })).status).toBe(200);
		const long = JSON.stringify({ verb: "status", arguments: { x: "x".repeat(20_000) } });
		expect((await call("/admin/v1/run", { body: long, headers: withKey })).status).toBe(413);
		const run = await call("/admin/v1/run", { body: '{"verb":"kick","arguments":{"user":"nobody"}}', headers: withKey });
		expect(JSON.parse(run.body)).toMatchObject({ verb: "kick", who: "127.0.0.1 with the admin key", outcome: "done" });
		// Shards do not have it: their ports are for clients.
		expect((await httpRequest(`${cluster.shardUrl(0).replace("ws:", "http:")}/admin/v1/status`, { headers: withKey })).status).toBe(404);

		const over = ["status", "--url", cluster.httpUrl];
		expect((await shardcast(over, { SHARDCAST_ADMIN_KEY: key })).stdout).toContain("healthy");
		expect((await command(over)).stderr).toContain("set SHARDCAST_ADMIN_KEY");
		// Another adminKey holds from the reload on.
		const other = "another-horse-battery";
		writeFileSync(file, options.replace(key, other));
		expect((await command(["reload", "--admin-socket", socket])).stdout).toContain("admin_interface.key set (hidden) → another (hidden)");
		const withOther = { "x-admin-key": other };
		await waitFor(async () => (await call("/admin/v1/status", { headers: withOther })).status === 200, {
			deadlineMs: 5000,
			what: "the other key",
			// Each attempt that comes too early counts as a wrong key.
			everyMs: 500,
		});
		expect((await call("/admin/v1/status", { headers: withKey })).status).toBe(401);
		writeFileSync(file, options);
		expect((await call("/admin/v1/run", { body: '{"verb":"reload"}', headers: withOther })).status).toBe(200);
		await waitFor(async () => (await call("/admin/v1/status", { headers: withKey })).status === 200, {
			deadlineMs: 5000,
			what: "the first key",
			everyMs: 500,
		});

		const statuses: number[] = [];
		// Ten in a minute, with those above.
		while (statuses.at(-1) !== 429 && statuses.length < 12)
			statuses.push((await call("/admin/v1/status", { headers: { "x-admin-key": "wrong-horse-battery" } })).status);
		expect(statuses.slice(0, -1)).toEqual(Array.from({ length: statuses.length - 1 }, () => 401));
		expect(statuses.at(-1)).toBe(429);
		const late = await call("/admin/v1/status", { headers: withKey });
		expect(late.status).toBe(429);
		expect(Number(late.headers["retry-after"])).toBeGreaterThan(0);
		await cluster.process.waitForOutput(/"audit":"admin_refused"/, 5000);
		const refused = await command(over, { SHARDCAST_ADMIN_KEY: key });
		expect(refused.status).toBe(3);
		expect(refused.stderr).toContain("too many wrong keys");
		// Whoever is on the machine is not kept out by it.
		expect((await command(["status", "--admin-socket", socket])).status).toBe(0);
		await tells(
			/shardcast_admin_requests_total\{result="wrong_key",process="balancer"\} 10\n/,
			/shardcast_admin_operations_total\{outcome="refused",process="supervisor"\} 1\n/,
		);
	});

	it("connections that were closed for want of room are counted", async () => {
		const idle = Array.from({ length: 64 }, () => connect(socket).on("error", () => {}));
		try {
			await Promise.all(idle.map((each) => once(each, "connect")));
			expect((await command(["status", "--admin-socket", socket])).status).toBe(0);
			await tells(/shardcast_admin_connections_closed_total\{process="supervisor"\} 1\n/);
		} finally {
			for (const each of idle) each.destroy();
		}
	});
});
