import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts, httpRequest, RawClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { Fleet, flawless } from "../support/fleet.ts";

for (const mode of ["handoff", "proxy"] as const)
	describe(`graceful stop, ${mode}`, { tags: mode === "proxy" ? ["long"] : [] }, () => {
		it("what was sent before the stop arrives, clients are closed with 1001, exit status 0, no waiting", async () => {
			const cluster = await startCluster({ shards: 2, flags: ["--lb-mode", mode] });
			const fleet = new Fleet();
			await fleet.listen(Array.from({ length: 60 }, () => cluster.url));
			await fleet.addSender(cluster.shardUrl(0));
			fleet.send(100);
			// The server has them all once a client of the sender's own shard has them; the stop comes while the rest is under way.
			await fleet.settle(fleet.listeners.slice(0, 1));
			const beganMs = performance.now();
			const status = await cluster.stop();
			const tookMs = performance.now() - beganMs;
			expect(status, cluster.log()).toEqual({ code: 0, signal: null });
			expect(fleet.report()).toMatchObject(flawless);
			const ends = await Promise.all([...fleet.listeners, ...fleet.senders].map(({ closed }) => closed));
			expect(new Set(ends.map(({ code }) => code))).toEqual(new Set([1001]));
			expect(tookMs, "a stop with nothing to wait for").toBeLessThan(10_000);
			expect(cluster.log()).toMatch(/shutting down/);
			expect(cluster.log()).toMatch(/shutdown complete/);
		});
	});

describe("stop, announced", () => {
	it("with --drain-delay /ready answers 503 at once, and new clients are served until it is over", { tags: ["long"] }, async () => {
		const cluster = await startCluster({ shards: 2, flags: ["--drain-delay", "6s"] });
		const before = await RawClient.open(cluster.url);
		const beganMs = performance.now();
		cluster.process.signal("SIGTERM");
		const urls = [cluster.httpUrl, cluster.shardUrl(1).replace("ws:", "http:")];
		for (const url of urls)
			await waitFor(async () => (await httpRequest(`${url}/ready`)).status === 503, { deadlineMs: 1000, what: `503 of ${url}` });
		expect(JSON.parse((await httpRequest(`${urls[0]}/ready`)).body)).toEqual({ ready: false, reasons: ["the cluster is stopping"] });
		expect((await httpRequest(`${urls[0]}/health`)).status).toBe(200);
		const late = await Promise.all([RawClient.open(cluster.url), RawClient.open(cluster.shardUrl(0))]);
		expect((await httpRequest(`${urls[0]}/api/publish`, { method: "POST", body: '{"data":"late"}' })).status).toBe(200);
		for (const client of [before, ...late]) expect((await client.waitForMessages(1)).map(({ bytes }) => `${bytes}`)).toEqual(["late"]);
		expect(performance.now() - beganMs, "all that was within the delay").toBeLessThan(6000);
		for (const client of [before, ...late]) expect(await client.closed).toMatchObject({ code: 1001 });
		expect(performance.now() - beganMs).toBeGreaterThan(5950);
		expect(await cluster.process.exited).toEqual({ code: 0, signal: null });
		expect(cluster.log()).toMatch(/shutting down: SIGTERM; 1 connection on 2 shards; new clients are accepted for another 6s/);
	});

	it("a second signal does not wait for the end of --drain-delay, nor for its timer", { tags: ["long"] }, async () => {
		const cluster = await startCluster({ shards: 1, flags: ["--drain-delay", "60s"] });
		cluster.process.signal("SIGTERM");
		await waitFor(async () => (await httpRequest(`${cluster.httpUrl}/ready`)).status === 503, { deadlineMs: 2000, what: "503" });
		expect((await cluster.stop(5_000)).code).toBe(1);
	});
});

describe("stop, with clients that do not read", () => {
	/** FIN-WAIT-1: the kernel keeps what they did not read. */
	const finWait1 = "04";
	const serverEnds = (ports: readonly number[]) =>
		readFileSync("/proc/net/tcp", "utf8")
			.split("\n")
			.map((line) => line.trim().split(/\s+/))
			.filter(([, , remote, state]) => state === finWait1 && ports.includes(Number.parseInt(remote.split(":")[1], 16)));

	it("they are counted, and their connections are reset", async () => {
		const cluster = await startCluster({ shards: 1, flags: ["--shutdown-timeout", "5s", "--max-buffered", "50MiB"] });
		const dead = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(cluster.url)));
		for (const { socket } of dead) socket.tcp.pause();
		const sender = await RawClient.open(cluster.url);
		for (let round = 0; round < 200; round++) sender.send(Buffer.alloc(60_000));
		const deliveries = async () => (await Scrape.of(cluster.httpUrl)).sum("shardcast_deliveries_total");
		await waitFor(async () => (await deliveries()) >= 1000, { deadlineMs: 20_000, what: "1000 deliveries" });
		const ports = dead.map(({ socket }) => socket.tcp.localPort!);
		await cluster.stop(20_000);
		const left = serverEnds(ports);
		for (const { socket } of dead) socket.tcp.destroy();
		expect(cluster.log()).toMatch(/shutdown complete: 5 cut off, \d/);
		expect(left).toEqual([]);
	});
});

describe("stop, under npm", () => {
	const root = join(import.meta.dirname, "../../../..");
	const hasScript = spawnSync("script", ["--version"]).status === 0;

	/** `npm start` without the build before it. */
	async function startUnderNpm(run: (command: string) => ChildProcess) {
		const base = mkdtempSync("/dev/shm/shardcast-test-");
		const port = await freePorts(2);
		const flags = `--shards 1 --base-port ${port + 1} --lb-addr 127.0.0.1:${port} --cluster-directory ${base}`;
		// Without exec, the status would be that of a shell, of which some end with 130 after Ctrl-C, whatever npm does.
		const program = run(`exec npm run --ignore-scripts start -- ${flags}`);
		const exited = new Promise((resolve) => program.once("exit", resolve));
		let output = "";
		for (const stream of [program.stdout!, program.stderr!]) stream.on("data", (text) => (output += text));
		await waitFor(() => /, pid (\d+)/.test(output), { deadlineMs: 20_000, what: "the banner" });
		return { program, exited, base, output: () => output };
	}

	it.each([
		["SIGTERM to npm", (command: string) => spawn("/bin/sh", ["-c", command], { cwd: root, stdio: "pipe" }), null],
		["Ctrl-C", (command: string) => spawn("script", ["-qec", command, "/dev/null"], { cwd: root, stdio: "pipe" }), "\u0003"],
	] as const)(
		"%s stops the cluster in order, and npm ends with its status",
		{ skip: !hasScript, tags: ["long"] },
		async (_how, run, key) => {
			const { program, exited, base, output } = await startUnderNpm(run);
			try {
				if (key === null) program.kill("SIGTERM");
				else program.stdin!.write(key);
				expect(await exited, output()).toBe(0);
				expect(output()).toMatch(/shutdown complete: nothing was cut off/);
				expect(readdirSync(base)).toEqual([]);
			} finally {
				const pid = Number(/, pid (\d+)/.exec(output())?.[1]);
				program.kill("SIGKILL");
				try {
					process.kill(pid, "SIGKILL");
				} catch {
					// It is gone, as it should be.
				}
				rmSync(base, { recursive: true });
			}
		},
	);
});

describe("stop, forced", () => {
	it("a second signal ends it at once, with status 1", async () => {
		// A shard that is stopped cannot drain, so the stop would take its whole time-out.
		const cluster = await startCluster({ shards: 2, flags: ["--shutdown-timeout", "60s"] });
		const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(cluster.url)));
		process.kill((await cluster.health()).shards[0]!.pid, "SIGSTOP");
		cluster.process.signal("SIGTERM");
		// A signal that comes before the first one was taken would be the same as that.
		await cluster.process.waitForOutput(/shutting down: SIGTERM/, 5_000);
		await sleep(500);
		expect(cluster.process.status()).toBe(null);
		const status = await cluster.stop(5_000);
		expect(status.code).toBe(1);
		await Promise.all(clients.map(({ closed }) => closed));
	});
});
