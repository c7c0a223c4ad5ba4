import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, ManagedProcess, makeCertificate } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LoadTestResult } from "../src/report/result.ts";

const program = join(import.meta.dirname, "../dist/main.js");
const bareServer = join(import.meta.dirname, "../dist/bench/support/bare-server.js");
const shardcast = join(import.meta.dirname, "../../apps/supervisor/dist/main.js");
/** That of shardcast, which compiles some of the same code. */
const compileCache = join(import.meta.dirname, "../../apps/supervisor/dist/compile-cache");
const faultyServer = join(import.meta.dirname, "programs/faulty-server.mjs");

let directory: string;
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "load-test-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Run {
	readonly status: number | null;
	readonly output: string;
	readonly result: LoadTestResult;
}

async function withServer<T>(
	entry: string,
	args: readonly string[],
	work: (port: number, server: ManagedProcess) => Promise<T>,
): Promise<T> {
	const port = await freePorts();
	const server = await ManagedProcess.start(entry, [String(port), ...args], { env: { NODE_COMPILE_CACHE: compileCache } });
	try {
		await server.waitForOutput(/listening on/, 10_000);
		return await work(port, server);
	} finally {
		await server.stop();
	}
}

let runs = 0;
async function loadTest(
	port: number,
	flags: readonly string[],
	disturb?: (run: ManagedProcess) => Promise<void>,
	openFiles?: number,
): Promise<Run> {
	const json = join(directory, `${runs++}.json`);
	const args = [
		...(flags.includes("--url") ? [] : ["--url", `ws://127.0.0.1:${port}`]),
		"--hold",
		"50ms",
		"--threads",
		"2",
		"--json",
		json,
		...flags,
	];
	const run = await ManagedProcess.start(program, args, {
		env: { NODE_COMPILE_CACHE: compileCache },
		...(openFiles === undefined ? {} : { openFiles }),
	});
	await disturb?.(run);
	const { code } = await run.exited;
	return { status: code, output: run.log(), result: JSON.parse(readFileSync(json, "utf8")) as LoadTestResult };
}

describe("load test against the bare server", () => {
	it("counts every broadcast at each of 200 clients and passes", async () => {
		const [csv, html] = [join(directory, "all.csv"), join(directory, "all.html")];
		const outputs = ["--csv", csv, "--html", html, "--fail-if", "p99>10m", "--fail-if", "loss>0"];
		const { status, output, result } = await withServer(bareServer, [], (port) =>
			loadTest(port, [...["--connections", "200", "--rate", "80", "--duration", "1250ms", "--senders", "3"], ...outputs]),
		);
		expect(output).toContain("passed: every client got every message exactly once, in order");
		expect(status).toBe(0);
		expect(result.ramp).toMatchObject({ opened: 200, failures: {} });
		// Each message goes to all but the client that sent it.
		expect(result.send).toMatchObject({ sent: 100, planned: 100, expected: 100 * 199, deliveries: 100 * 199 });
		expect(result.send!.delivery).toEqual({ received: 19_900, lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] });
		expect(result.send!.latency.count).toBe(19_900);
		expect(result.send!.latency.p50Ms).toBeGreaterThan(0);
		expect(result.shards!.connections).toEqual([{ id: 0, connections: 200 }]);
		expect(result.servers).toHaveLength(1);
		expect(result.cpuUsPerDelivery).toBeGreaterThan(0);
		expect(output).toMatch(/connect\s+200 of 200 connections/);

		expect(result.thresholds.map(({ figure, crossed }) => [figure, crossed])).toEqual([
			["p99", false],
			["loss", false],
		]);
		expect(result.connects).toMatchObject({ attempted: 200, opened: 200, latency: { count: 200 } });
		const { points } = result.series!;
		const sum = (pick: (point: (typeof points)[number]) => number) => points.reduce((total, point) => total + pick(point), 0);
		expect(sum(({ deliveries }) => deliveries)).toBe(19_900);
		expect(sum(({ sent }) => sent)).toBe(100);
		expect(points[0]).toMatchObject({ clients: 200, clientsWanted: null });
		for (const { p50Ms, p99Ms, deliveries } of points) if (deliveries > 0) expect(p99Ms).toBeGreaterThanOrEqual(p50Ms!);
		// When the load test is half a second late to look at the first interval, that counts to the second.
		expect(sum(({ serverCpuPercent }) => serverCpuPercent!)).toBeGreaterThan(0);
		expect(readFileSync(csv, "utf8").split("\n")).toHaveLength(points.length + 2);
		expect(readFileSync(html, "utf8")).toContain('<p class="verdict good">passed</p>');
	});

	it("opens more connections than one process may, in several processes", { tags: ["long"] }, async () => {
		const flags = ["--connections", "300", "--rate", "100", "--duration", "500ms", "--senders", "2"];
		let children = 0;
		const counted = async (run: ManagedProcess): Promise<void> => {
			await run.waitForOutput(/send\s+0 of/, 20_000);
			children = readFileSync(`/proc/${run.pid}/task/${run.pid}/children`, "utf8").trim().split(" ").length;
		};
		const { status, output, result } = await withServer(bareServer, [], (port) => loadTest(port, flags, counted, 450));
		expect(output).toContain("passed: every client got every message exactly once, in order");
		expect(status).toBe(0);
		expect(children).toBe(2);
		expect(result.options).toMatchObject({ receiversAreProcesses: true, receivers: 2 });
		expect(result.send).toMatchObject({ sent: 50, expected: 50 * 299, deliveries: 50 * 299 });
		// The bare server says how many it holds.
		expect(result.shards!.connections).toEqual([{ id: 0, connections: 300 }]);
	});

	it("sends each message of the channels scenario to its channel alone", { tags: ["long"] }, async () => {
		const { status, result } = await withServer(bareServer, [], (port) =>
			loadTest(port, ["--connections", "220", "--scenario", "channels", "--rate", "200", "--duration", "1s"]),
		);
		expect(result.options).toMatchObject({ channels: 20, senders: 20 });
		expect(result.send).toMatchObject({ sent: 200, expected: 2_000, deliveries: 2_000 });
		expect(status).toBe(0);
	});

	it("shows what it has when it is interrupted", { tags: ["long"] }, async () => {
		const { status, output, result } = await withServer(bareServer, [], (port) =>
			loadTest(port, ["--connections", "20", "--rate", "100", "--duration", "60s"], async (run) => {
				await run.waitForOutput(/send\s+0 of/, 10_000);
				run.signal("SIGINT");
			}),
		);
		expect(status).toBe(130);
		expect(output).toMatch(/interrupted with 20 connections open/);
		expect(result.interrupted).toMatchObject({ open: 20 });
		expect(result.send!.delivery).toMatchObject({ lost: 0, received: result.send!.sent * 19 });
		expect(result.send!.sent).toBeLessThan(6000);
		expect(result.series!.points.length).toBeGreaterThan(0);
		expect(output).toContain("interrupted: nothing was wrong until then");
		expect(result.ramp!.opened).toBe(20);
	});

	it("fails, and does not wait, when the server dies under it", { tags: ["long"] }, async () => {
		let diedMs = 0;
		await withServer(bareServer, [], async (port, server) => {
			const { status, output } = await loadTest(
				port,
				["--connections", "20", "--rate", "100", "--duration", "2s", "--settle", "500ms"],
				async (run) => {
					await run.waitForOutput(/send\s+0 of/, 10_000);
					server.signal("SIGKILL");
					diedMs = performance.now();
				},
			);
			expect(status).toBe(1);
			expect(output).toMatch(/20 connections ended during the test: .*closed with 1006/);
		});
		// Of sending and settling 2.5 s are left; to wait for the end of connections would take 20 s more.
		expect(performance.now() - diedMs).toBeLessThan(20_000);
	});

	it("fails with the reason when the server refuses what is published", { tags: ["long"] }, async () => {
		const { status, output } = await withServer(faultyServer, ["no-http"], (port) =>
			loadTest(port, ["--connections", "5", "--source", "http", "--rate", "20", "--duration", "200ms", "--settle", "200ms"]),
		);
		expect(status).toBe(1);
		expect(output).toMatch(/4 messages refused: 4 ×/);
		expect(output).toContain("20 deliveries lost");
	});

	it("fails when nobody listens", { tags: ["long"] }, async () => {
		const port = await freePorts();
		const { status, output } = await loadTest(port, ["--connections", "10"]);
		expect(status).toBe(1);
		expect(output).toContain("10 of 10 connections did not open: 10 × failed: connect ECONNREFUSED");
	});
});

it("a single server, which has no balancer, is loaded and its cost is told", { tags: ["long"] }, async () => {
	const port = await freePorts();
	const server = await ManagedProcess.start(shardcast, ["single", "--addr", `127.0.0.1:${port}`]);
	try {
		await server.waitForOutput(/ws:/, 10_000);
		const { status, output, result } = await loadTest(port, ["--connections", "20", "--rate", "50", "--duration", "200ms"]);
		expect(output).toContain("passed");
		expect(status).toBe(0);
		expect(result.servers).toEqual([expect.objectContaining({ name: "shard 0", pid: server.pid })]);
	} finally {
		await server.stop();
	}
});

describe("load test against a faulty server", () => {
	const twentyClients = ["--connections", "20", "--rate", "50", "--duration", "200ms", "--settle", "2s"];
	const clean = { lost: 0, duplicated: 0, reordered: 0, unexpected: 0 };

	const fails = async (fault: string, counts: object, told: string) => {
		const { status, output, result } = await withServer(faultyServer, [fault], (port) => loadTest(port, twentyClients));
		expect(result.send!.delivery, output).toMatchObject(counts);
		expect(output).toContain("FAILED");
		expect(output).toContain(told);
		expect(status).toBe(1);
	};
	it("drop: exit status 1 and the right counts", () => fails("drop", { ...clean, lost: 1 }, "1 deliveries lost"));
	it.each([
		["duplicate", { ...clean, duplicated: 2 }, "2 deliveries doubled"],
		["reorder", { ...clean, reordered: 1 }, "1 deliveries out of order"],
		["corrupt", { ...clean, lost: 1, unexpected: 1 }, "1 messages were not what was sent"],
		["text", { ...clean, lost: 1, unexpected: 1 }, "1 messages were not what was sent"],
		["echo", { ...clean, unexpected: 10 }, "a message of sender 0, which was not meant for it"],
		["hang-up", { ...clean, lost: 6 }, "1 × closed with 3008 slow"],
	])("%s: exit status 1 and the right counts", { tags: ["long"] }, fails);

	it("drop, while clients come: the loss is found as well, and a threshold may allow it", { tags: ["long"] }, async () => {
		const ramp = ["--ramp", "10-20:1s", "--ramp-rate", "0:500ms,50:500ms", "--settle", "2s"];
		const flags = ["--fail-if", "loss>50%", ...ramp];
		const { status, output, result } = await withServer(faultyServer, ["drop"], (port) => loadTest(port, flags));
		expect(result.send!.delivery, output).toMatchObject({ ...clean, lost: 1 });
		expect(result.warnings).toContain("1 deliveries lost (--fail-if says how many are too many)");
		expect(output).toContain("passed: no threshold is crossed");
		expect(status).toBe(0);
	});

	it.each([
		["drop", { ...clean, lost: 1 }, "1 deliveries lost"],
		["duplicate", { ...clean, duplicated: 2 }, "2 deliveries doubled"],
		["corrupt", { ...clean, lost: 1, unexpected: 1 }, "1 messages were not what was sent"],
		["text", { ...clean, lost: 1, unexpected: 1 }, "1 messages were not what was sent"],
		["no-publish", clean, "10 messages refused: 10 × 103 permission denied"],
	])("Centrifuge protocol, %s: exit status 1 and the right counts", { tags: ["long"] }, async (fault, counts, told) => {
		const flags = ["--protocol", "centrifuge", ...twentyClients];
		const { status, output, result } = await withServer(faultyServer, [fault], (port) => loadTest(port, flags));
		expect(result.send!.delivery, output).toMatchObject(counts);
		expect(output).toContain(told);
		expect(status).toBe(1);
	});

	it("Centrifuge protocol, no-subscribe: tells what the server answered", { tags: ["long"] }, async () => {
		const flags = ["--protocol", "centrifuge", "--connections", "20"];
		const { status, output, result } = await withServer(faultyServer, ["no-subscribe"], (port) => loadTest(port, flags));
		expect(output).toContain("20 of 20 connections did not open: 20 × refused by the protocol: 103 permission denied");
		expect(result.send).toBeUndefined();
		expect(status).toBe(1);
	});

	it("none: passes, so it is the fault that is found and not the server", async () => {
		const { status, result } = await withServer(faultyServer, ["none"], (port) => loadTest(port, twentyClients));
		expect(result.send!.delivery).toMatchObject({ ...clean, received: 190 });
		expect(status).toBe(0);
	});

	it("refuse: exit status 1, the reason, and no messages sent", { tags: ["long"] }, async () => {
		const { status, output, result } = await withServer(faultyServer, ["refuse"], (port) => loadTest(port, ["--connections", "25"]));
		expect(result.ramp).toMatchObject({ opened: 20 });
		expect(output).toMatch(/5 of 25 connections did not open: 5 × refused with 503/);
		expect(result.send).toBeUndefined();
		expect(status).toBe(1);
	});
});

it.each(["centrifuge", "centrifuge-protobuf"])(
	"%s: counts every message at each client, the sender included",
	{ tags: ["long"] },
	async (protocol) => {
		const port = await freePorts();
		const server = await ManagedProcess.start(shardcast, ["single", "--addr", `127.0.0.1:${port}`, "--client-insecure"]);
		try {
			await server.waitForOutput(/ws:/, 10_000);
			const flags = ["--protocol", protocol, "--connections", "40", "--rate", "100", "--duration", "300ms"];
			const all = await loadTest(port, [...flags, "--senders", "3"]);
			expect(all.output).toContain("passed");
			expect(all.result.send).toMatchObject({ sent: 30, expected: 30 * 40, deliveries: 30 * 40, refusals: {} });
			const channels = await loadTest(port, [...flags, "--scenario", "channels", "--channel-size", "9"]);
			expect(channels.output).toContain("passed");
			expect(channels.result.send).toMatchObject({ sent: 30, expected: 300, deliveries: 300, refusals: {} });
		} finally {
			await server.stop();
		}
	},
);

it.each([
	[["--what"], "unknown option '--what'"],
	[["merge", "/nowhere.json"], "error: /nowhere.json can't be read (ENOENT)"],
])("a command line that is wrong (%j): one clear line and exit status 2", async (argv, told) => {
	const run = await ManagedProcess.start(program, argv);
	expect(await run.exited).toEqual({ code: 2, signal: null });
	expect(run.log().trim().split("\n")).toEqual([expect.stringContaining(told)]);
});

describe("load test over TLS", () => {
	it("checks the certificate with --ca, passes with it, and fails without", { tags: ["long"] }, async () => {
		const port = await freePorts();
		const { certFile, keyFile } = makeCertificate(directory, { name: "load" });
		const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
		const server = await ManagedProcess.start(shardcast, ["single", "--addr", `127.0.0.1:${port}`, ...tls]);
		try {
			await server.waitForOutput(/wss:\/\//, 20_000);
			const flags = ["--url", `wss://127.0.0.1:${port}`, "--connections", "20", "--rate", "50", "--duration", "500ms"];
			const [trusting, strict] = await Promise.all([
				loadTest(port, [...flags, "--ca", certFile]),
				loadTest(port, [...flags, "--ramp-timeout", "5s"]),
			]);
			expect(trusting.output).toContain("passed: every client got every message exactly once, in order");
			expect(trusting.result.ramp).toMatchObject({ opened: 20, failures: {} });
			expect(strict.status, strict.output).not.toBe(0);
			expect(strict.result.ramp).toMatchObject({ opened: 0, failures: { "failed: self-signed certificate": 20 } });
		} finally {
			await server.stop();
		}
	});
});
