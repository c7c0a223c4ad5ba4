import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
	type Cluster,
	freePorts,
	httpRequest,
	LibraryClient,
	ManagedProcess,
	RawClient,
	Scrape,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");
let folder: string;
let file: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "reload-"));
	file = join(folder, "shardcast.yaml");
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Rewrites the file, sends SIGHUP and waits for the line that answers it. */
async function reload(program: ManagedProcess, options: string): Promise<string> {
	const before = program.log().length;
	writeFileSync(file, options);
	program.signal("SIGHUP");
	const line = await program.waitUntil(
		() => /configuration (not )?reloaded[^"\n]*/.exec(program.log().slice(before)),
		"the answer to SIGHUP",
		5_000,
	);
	return line[0];
}

const limitOf = async (cluster: Cluster) => (await cluster.health()).shards.map(({ max }) => max);

/** The status of an upgrade from a page of that origin, or 101. */
async function upgradeFrom(url: string, origin: string): Promise<number> {
	try {
		await (await LibraryClient.open(url, { origin })).close();
		return 101;
	} catch (error) {
		return Number(/\b(\d{3})\b/.exec((error as Error).message)?.[1]);
	}
}

/** The statuses of publications with this key, "" = none: through the balancer, and on each shard's port. */
function publishedWith(cluster: Cluster, key: string): Promise<number[]> {
	const urls = [cluster.httpUrl, cluster.shardUrl(0), cluster.shardUrl(1)].map((url) => `${url.replace("ws:", "http:")}/api/publish`);
	const headers = { "content-type": "application/json", ...(key !== "" && { "x-api-key": key }) };
	return Promise.all(urls.map(async (url) => (await httpRequest(url, { method: "POST", headers, body: '{"data":1}' })).status));
}

async function closedAboveRate(url: string): Promise<number> {
	const client = await LibraryClient.open(url);
	for (let count = 0; count < 20; count++) client.send("x");
	return (await client.closed).code;
}

describe("SIGHUP on a running cluster", () => {
	for (const mode of ["handoff", "proxy"] as const)
		it(`brings new limits into force everywhere, drops nobody, and holds for a shard that is started later (${mode})`, {
			timeout: 60_000,
			tags: mode === "proxy" ? ["long"] : [],
		}, async () => {
			writeFileSync(file, "limits: {max_connections: 4}\nconsole: {token: correct-horse}\n");
			const cluster = await startCluster({ shards: 2, flags: ["--config", file, "--lb-mode", mode, "--no-require-auth"] });
			try {
				const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.open(cluster.url)));
				let closed = 0;
				for (const client of clients) void client.closed.then(() => closed++);
				await expect(RawClient.open(cluster.url)).rejects.toThrow(/503/);
				expect(await upgradeFrom(cluster.url, "https://ours.example")).toBe(403);

				const options = [
					"limits:",
					"  max_connections: 20",
					"  message_rate: 5",
					"console: {token: correct-horse}",
					"client:",
					"  allowed_origins: [https://ours.example]",
					"  queue_max_size: 128KiB",
					"shard: {ring: 4096}",
				].join("\n");
				const line = await reload(cluster.process, options);
				expect(line).toContain("limits.max_connections 4 → 20");
				expect(line).toContain("limits.message_rate 0 → 5");
				expect(line).toContain("; only a restart brings shard.ring 2048 → 4096: stop shardcast and start it again");

				// Balancer.
				expect(await limitOf(cluster)).toEqual([10, 10]);
				expect((await cluster.health()).maxConnections).toBe(20);
				await waitFor(async () => (await upgradeFrom(cluster.url, "https://ours.example")) === 101, {
					deadlineMs: 5_000,
					what: "the balancer to let in a page that is listed now",
				});
				// Shards.
				for (const shard of [0, 1]) {
					await waitFor(async () => (await upgradeFrom(cluster.shardUrl(shard), "https://ours.example")) === 101, {
						deadlineMs: 5_000,
						what: `shard ${shard} to let in a page that is listed now`,
					});
					expect(await upgradeFrom(cluster.shardUrl(shard), "https://theirs.example")).toBe(403);
					expect(await closedAboveRate(cluster.shardUrl(shard))).toBe(1008);
				}
				const more = await Promise.all(Array.from({ length: 4 }, () => RawClient.open(cluster.url)));
				more[0]!.send("after the reload");
				for (const client of clients)
					await waitFor(() => client.texts().includes("after the reload"), {
						deadlineMs: 5_000,
						what: "a message to those that were there",
					});
				expect(closed, "clients that were dropped").toBe(0);

				// A shard that comes later.
				await cluster.kill9(0);
				await waitFor(async () => (await cluster.health()).shards[0]!.restarts === 1 && (await cluster.health()).status === "healthy", {
					deadlineMs: 10_000,
					what: "shard 0 to serve again",
				});
				expect(await limitOf(cluster)).toEqual([10, 10]);
				expect(await upgradeFrom(cluster.shardUrl(0), "https://theirs.example")).toBe(403);
				expect(await closedAboveRate(cluster.shardUrl(0))).toBe(1008);

				const scrape = await Scrape.of(cluster.httpUrl);
				expect(scrape.sum("shardcast_config_reloads_total", { result: "applied" })).toBe(1);
				expect(scrape.sum("shardcast_connections_limit", { shard: "0" })).toBe(10);
				const console = await LibraryClient.open(`${cluster.url}/console/feed?token=correct-horse`);
				await waitFor(() => console.texts().some((text) => text.includes("configuration reloaded from")), {
					deadlineMs: 5_000,
					what: "the event in the console",
				});
				await console.close();

				expect(await reload(cluster.process, "limits: {max_connections: 20}\n")).toContain(
					"not reloaded, all options keep their values: console.token",
				);
				await reload(cluster.process, "console: {token: none}\n");
				expect(cluster.process.log()).toContain("now open: every user of this machine can open the console");
				// Keys of the server API: set, changed while both are valid, and the former one taken back.
				const key = { first: "the-first-key", second: "the-second-key", listed: "the-key-of-billing" };
				for (const [options, answers] of [
					// Open: nobody asks for a key.
					["console: {token: none}\n", [200, 200, 200, 200]],
					[`http_api: {key: ${key.first}}\nconsole: {token: none}\n`, [401, 200, 401, 401]],
					[
						`http_api: {key: none, keys: [{name: app, key: ${key.second}, former_key: ${key.first}}, {name: billing, key: ${key.listed}}]}\nconsole: {token: none}\n`,
						[401, 200, 200, 200],
					],
					[`http_api: {key: none, keys: [{name: app, key: ${key.second}}]}\nconsole: {token: none}\n`, [401, 401, 200, 401]],
				] as const) {
					expect(await reload(cluster.process, options), options).toMatch(/^configuration reloaded/);
					const wanted = answers.map((status) => [status, status, status].join()).join(" ");
					let answered = "";
					const given = async () =>
						(answered = (await Promise.all(["", ...Object.values(key)].map((each) => publishedWith(cluster, each)))).join(" "));
					await waitFor(async () => (await given()) === wanted, {
						deadlineMs: 5_000,
						what: `${wanted} without a key and with each of three, after a reload`,
					}).catch((error: Error) => expect(answered, error.message).toBe(wanted));
				}
				for (const secret of Object.values(key)) expect(cluster.process.log(), "a key in the log").not.toContain(secret);
				await Promise.all([...clients, ...more].map((client) => client.close()));
			} finally {
				await cluster.stop();
			}
		});

	it("a bad file changes nothing; a lower limit drops nobody; log level and back", async () => {
		writeFileSync(file, "limits: {max_connections: 4}\n");
		const cluster = await startCluster({ shards: 2, flags: ["--config", file] });
		try {
			const clients = await Promise.all(Array.from({ length: 4 }, () => RawClient.open(cluster.url)));
			expect(await reload(cluster.process, "limits: {max_connections: 8}\nshard: {batch: none}\n")).toContain(
				`configuration not reloaded, all options keep their values: ${file}:2: shard.batch: \\`,
			);
			expect(await limitOf(cluster)).toEqual([2, 2]);
			expect(await reload(cluster.process, "limits:\n  max_connections: 8\n  message_rate: *fast\n")).toContain(
				`${file}:3: limits.message_rate: Unresolved alias`,
			);
			expect(await limitOf(cluster)).toEqual([2, 2]);
			await expect(RawClient.open(cluster.url)).rejects.toThrow(/503/);
			expect(await reload(cluster.process, 'limits: {max_connections: 8}\nremote: {shards: ["10.0.0.7:3005"]}\n')).toContain(
				"remote.shards: connections are handed over, which works on this machine only; restart the cluster to pass some on",
			);
			expect(await limitOf(cluster)).toEqual([2, 2]);

			expect(await reload(cluster.process, "limits: {max_connections: 2}\nlog: {level: debug}\n")).toContain(
				"limits.max_connections 4 → 2",
			);
			expect(await limitOf(cluster)).toEqual([1, 1]);
			await expect(RawClient.open(cluster.url)).rejects.toThrow(/503/);
			await cluster.process.waitForOutput(/Conns: \d+, Msgs: \d+/, 5_000);
			clients[0]!.send("still here");
			await waitFor(() => clients[3]!.texts().includes("still here"), { deadlineMs: 5_000, what: "a message between the old clients" });

			const scrape = await Scrape.of(cluster.httpUrl);
			expect(scrape.sum("shardcast_config_reloads_total", { result: "rejected" })).toBe(3);
			expect(scrape.sum("shardcast_config_reloads_total", { result: "applied" })).toBe(1);
			await Promise.all(clients.map((client) => client.close()));
		} finally {
			expect((await cluster.stop()).code).toBe(0);
		}
	});

	it("a shard that is starting just then gets the new options as well", { tags: ["long"] }, async () => {
		writeFileSync(file, "limits: {message_rate: 0}\nsupervision: {restart_backoff_min: 1ms}\n");
		const cluster = await startCluster({ shards: 2, flags: ["--config", file] });
		try {
			for (const rate of [1, 2, 3]) {
				await cluster.kill9(0);
				// Somewhere between its fork and its first answer.
				await new Promise((resolve) => setTimeout(resolve, 40 * rate));
				await reload(cluster.process, `limits: {message_rate: ${rate}}\nsupervision: {restart_backoff_min: 1ms}\n`);
				await waitFor(async () => (await cluster.health()).status === "healthy" && (await cluster.health()).shards[0]!.restarts === rate, {
					deadlineMs: 10_000,
					what: `restart ${rate}`,
				});
				await waitFor(async () => (await closedAboveRate(cluster.shardUrl(0))) === 1008, { deadlineMs: 5_000, what: "the rate in force" });
			}
		} finally {
			await cluster.stop();
		}
	});
});

const hasScript = spawnSync("script", ["--version"]).status === 0;

describe("a terminal that goes away", () => {
	it.skipIf(!hasScript)("stops the cluster that was started in it, in order", async () => {
		const base = mkdtempSync("/dev/shm/shardcast-test-");
		const basePort = await freePorts(3);
		const url = `http://127.0.0.1:${basePort + 2}`;
		const flags = `--shards 2 --base-port ${basePort} --lb-addr 127.0.0.1:${basePort + 2} --cluster-directory ${base}`;
		// `script` gives the program a separate terminal, which ends with it.
		const terminal = spawn("script", ["-qec", `exec ${process.execPath} ${main} multi ${flags}`, "/dev/null"], { stdio: "pipe" });
		try {
			await waitFor(async () => (await httpRequest(`${url}/ready`)).status === 200, { deadlineMs: 20_000, what: "the cluster" });
			const client = await LibraryClient.open(url.replace("http", "ws"));
			terminal.kill("SIGKILL");
			expect(await client.closed).toEqual({ code: 1001, reason: "shutdown" });
			await waitFor(() => readdirSync(base).length === 0, { deadlineMs: 10_000, what: "its shared memory to go" });
		} finally {
			terminal.kill("SIGKILL");
			rmSync(base, { recursive: true });
		}
	});
});

describe("SIGHUP on shardcast single", () => {
	const start = async (flags: readonly string[]) => {
		const port = await freePorts();
		const program = await ManagedProcess.start(main, ["single", "--addr", `127.0.0.1:${port}`, "--log-format", "json", ...flags]);
		await program.waitForOutput(/shardcast single/, 10_000);
		return { program, url: `ws://127.0.0.1:${port}`, httpUrl: `http://127.0.0.1:${port}` };
	};

	it("reloads as well", async () => {
		writeFileSync(file, "limits: {max_connections: 1}\n");
		const { program, url, httpUrl } = await start(["--config", file]);
		const client = await RawClient.open(url);
		await expect(RawClient.open(url)).rejects.toThrow(/503/);
		expect(await reload(program, "limits: {max_connections: 3, max_payload: 1KiB}\nclient: {idle_timeout: 30s}\n")).toMatch(
			/client\.idle_timeout 2m → 30s, limits\.max_connections 1 → 3; only a restart brings limits\.max_payload 64KiB → 1KiB/,
		);
		const other = await RawClient.open(url);
		other.send("hello");
		await waitFor(() => client.texts().includes("hello"), { deadlineMs: 2_000, what: "a message to the old client" });
		await reload(program, "limits: {max_connections: many}\nshard: {batch: *fast}\n");
		const metrics = (await httpRequest(`${httpUrl}/metrics`)).body;
		expect(metrics).toMatch(/shardcast_config_reloads_total\{result="applied",shard="0"\} 1/);
		expect(metrics).toMatch(/shardcast_config_reloads_total\{result="rejected",shard="0"\} 1/);
		await Promise.all([client.close(), other.close()]);
		await reload(program, "client: {allowed_origins: '*'}\n");
		expect(program.log()).toContain("now open: pages of every site can connect");
		expect(await program.stop()).toEqual({ code: 0, signal: null });
	});

	it("without a config file it says so and goes on", { tags: ["long"] }, async () => {
		const { program, url } = await start([]);
		program.signal("SIGHUP");
		await program.waitForOutput(/SIGHUP: there is no config file to reload; start with --config/, 5_000);
		await (await RawClient.open(url)).close();
		expect(await program.stop()).toEqual({ code: 0, signal: null });
	});
});
