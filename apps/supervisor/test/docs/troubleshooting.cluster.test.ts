// @module-tag long
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, freePorts, httpRequest, ManagedProcess, RawClient, startCluster, waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { missingLine } from "../support/doc-blocks.ts";

// Each symptom is provoked, and what a user then sees is looked up in docs/how-to/troubleshooting.md.

const page = readFileSync(join(import.meta.dirname, "../../../../docs/how-to/troubleshooting.md"), "utf8");
const main = join(import.meta.dirname, "../../dist/main.js");

/** The first cells of the rows: what a user has before them. */
const symptoms = page.split("\n").flatMap((line) => /^\| (.*?)(?<!\\) \| /.exec(line)?.[1] ?? []);
/** Whether a row quotes that line of output, its numbers apart. */
const isQuoted = (line: string): boolean => {
	const plain = (text: string): string => text.replaceAll("`", "").replace(/\d+/g, "…");
	return symptoms.some((symptom) => missingLine(plain(symptom).replace(/; ….*$/, ";"), plain(line)) === null);
};

async function withCluster(flags: readonly string[], work: (cluster: Cluster) => Promise<void>): Promise<void> {
	const cluster = await startCluster({ shards: 2, flags });
	try {
		await work(cluster);
	} finally {
		await cluster.stop();
	}
}

/** What a page of that origin is answered when it connects. */
async function refusal(url: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; code: string }> {
	const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
	const { status, body } = await httpRequest(url, {
		headers: { ...upgrade, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", ...headers },
	});
	return { status, code: (JSON.parse(body) as { error: { code: string } }).error.code };
}

describe("what troubleshooting says of a start that fails", () => {
	it.each([
		["--cpus", "4000"],
		["--shard", "2"],
	])("%s %s", async (...flags) => {
		const run = await ManagedProcess.start(main, ["multi", ...flags]);
		expect(await run.exited).toEqual({ code: 2, signal: null });
		expect(isQuoted(run.log().replace(/^shardcast: /, "")), run.log()).toBe(true);
	});

	it("a port that is taken", async () => {
		const port = await freePorts();
		const other = createServer();
		await new Promise<void>((resolve) => other.listen(port, "127.0.0.1", resolve));
		const run = await ManagedProcess.start(main, ["multi", "--base-port", String(port + 1), "--lb-addr", `127.0.0.1:${port}`]);
		expect((await run.exited).code).toBe(2);
		expect(isQuoted(run.log().replace(/^shardcast: /, "")), run.log()).toBe(true);
		other.close();
	});

	it("a crash loop", async () => {
		const flags = ["--crash-limit", "1", "--restart-backoff-min", "20ms"];
		const cluster = await startCluster({ shards: 2, flags });
		const first = await cluster.kill9(0);
		const isAnother = (pid: number): boolean => pid > 0 && pid !== first;
		await waitFor(async () => isAnother((await cluster.health()).shards[0]!.pid), { deadlineMs: 10_000, what: "a new shard 0" });
		await cluster.kill9(0);
		expect(await cluster.process.exited).toEqual({ code: 1, signal: null });
		expect(
			isQuoted(
				cluster
					.log()
					.trimEnd()
					.split("\n")
					.at(-1)!
					.replace(/^shardcast: /, ""),
			),
			cluster.log(),
		).toBe(true);
	});

	it("a misspelt variable is a warning and no more", async () => {
		const run = await ManagedProcess.start(main, ["config", "check"], { env: { SHARDCAST_SHARD: "2" } });
		expect((await run.exited).code).toBe(0);
		expect(run.log()).toContain("SHARDCAST_SHARD: unknown environment variable; did you mean SHARDCAST_SHARDS?");
	});
});

describe("what troubleshooting says of clients", () => {
	it("that cannot connect", async () => {
		const flags = ["--max-connections", "2", "--allowed-origins", "https://example.com"];
		await withCluster([...flags, "--restart-backoff-min", "20s", "--restart-backoff-max", "20s"], async (cluster) => {
			const answers = [
				await refusal(cluster.httpUrl, { origin: "https://example.com/" }),
				await refusal(`${cluster.httpUrl}/?channels=`),
				await refusal(cluster.httpUrl, { cookie: "x".repeat(20_000) }),
				await refusal(cluster.httpUrl, { upgrade: "", connection: "close" }),
			];
			const clients = await Promise.all([RawClient.open(cluster.url), RawClient.open(cluster.url)]);
			answers.push(await refusal(cluster.httpUrl));
			await Promise.all([cluster.kill9(0), cluster.kill9(1)]);
			for (const { closed } of clients) expect((await closed).code).toBe(1006);
			answers.push(await refusal(cluster.httpUrl));
			expect(answers.map(({ status }) => status)).toEqual([403, 400, 431, 426, 503, 503]);
			for (const { status, code } of answers) {
				const rows = symptoms.filter((symptom) => symptom.startsWith(String(status)));
				if (status === 431 || status === 503) expect(rows.join()).toContain(`\`${code}\``);
				// That one needs an option that this cluster does not have.
				else expect(rows.filter((row) => !row.includes("`proxy_header`"))).toHaveLength(1);
			}
			await waitFor(async () => (await cluster.health()).reasons.includes("shard 0: down, to be restarted"), {
				deadlineMs: 5_000,
				what: "shard 0: down, to be restarted",
			});
			expect(page).toContain('"down, to be restarted"');
			await cluster.process.waitForOutput(/shard 0 was killed by SIGKILL( with \d+ connections?)?; restarting it in \d+ ms/, 5_000);
			expect(page).toMatch(/shard 0 was killed by SIGKILL with \d+ connections; restarting it in \d+ ms/);
		});
	});

	it("that find the balancer out of files: the start has warned, and /health is answered all the same", async () => {
		const basePort = await freePorts(3);
		const httpUrl = `http://127.0.0.1:${basePort + 2}`;
		const ports = ["--base-port", String(basePort), "--lb-addr", `127.0.0.1:${basePort + 2}`];
		const args = [main, "multi", "--shards", "2", "--lb-mode", "proxy", "--max-connections", "200", "--shutdown-timeout", "5s", ...ports];
		const limited = spawn("/bin/sh", ["-c", 'ulimit -n 300; exec "$0" "$@"', process.execPath, ...args], {
			stdio: ["ignore", "ignore", "pipe"],
		});
		let log = "";
		limited.stderr.setEncoding("utf8").on("data", (text: string) => {
			log += text;
		});
		try {
			await waitFor(async () => (await httpRequest(`${httpUrl}/ready`)).status === 200, {
				deadlineMs: 20_000,
				what: "a cluster that is ready",
			});
			expect(log).toContain("in proxy mode holds both ends of 200 connections, needs 600; raise it (ulimit -n, LimitNOFILE=)");
			const clients: RawClient[] = [];
			const fill = async (): Promise<never> => {
				for (;;) clients.push(await RawClient.open(httpUrl));
			};
			await expect(fill()).rejects.toThrow(/503[\s\S]*balancer_full/);
			expect(clients.length).toBeGreaterThan(80);
			for (let more = 0; more < 40; more++) expect(await refusal(httpUrl)).toEqual({ status: 503, code: "balancer_full" });
			expect(symptoms).toContain("503 `balancer_full`");
			expect((await httpRequest(`${httpUrl}/health`)).status).toBe(200);
			await clients.pop()!.close();
			await waitFor(() => RawClient.open(httpUrl).then((client) => clients.push(client)), {
				deadlineMs: 5_000,
				what: "a place after one has left",
			});
		} finally {
			const ended = once(limited, "exit");
			limited.kill();
			await ended;
		}
	});

	it.each([
		["1008 `too many messages`", ["--message-rate", "2"], 10],
		["1009 `message too big`", ["--max-payload", "10"], 1],
		["3507 `clients only receive here; publish over HTTP`", ["--api-key", "a-secret-key", "--no-require-auth"], 1],
	])("that are closed with %s", async (symptom, flags, messages) => {
		await withCluster(flags, async (cluster) => {
			const client = await RawClient.open(cluster.url);
			for (let message = 0; message < messages; message++) client.send("eleven bytes");
			const { code, reason } = await client.closed;
			expect(`${code} \`${reason}\``).toBe(symptom);
			expect(symptoms).toContain(symptom);
		});
	});
});

it("a cluster that is paused as a whole, as by docker pause, takes no shard for hung", async () => {
	await withCluster(["--heartbeat-timeout", "1s"], async (cluster) => {
		const pids = [...(await cluster.pids()).values()];
		for (const pid of pids) process.kill(pid, "SIGSTOP");
		await sleep(2_500);
		for (const pid of pids.reverse()) process.kill(pid, "SIGCONT");
		await sleep(2_000);
		expect(cluster.log()).not.toContain("hangs");
		expect((await cluster.health()).shards.map(({ restarts }) => restarts)).toEqual([0, 0]);
	});
});
