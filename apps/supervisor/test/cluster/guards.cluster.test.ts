import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Cluster, httpRequest, LibraryClient, RawClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const main = join(import.meta.dirname, "../../dist/main.js");

/** Stops a process for most of the time, so that its loop is late, but never for so long that it looks dead. */
class Pulse {
	readonly #pid: number;
	readonly #timer: NodeJS.Timeout;

	constructor(pid: number) {
		this.#pid = pid;
		this.#timer = setInterval(() => {
			this.#signal("SIGSTOP");
			setTimeout(() => this.#signal("SIGCONT"), 400);
		}, 500);
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#signal("SIGCONT");
	}

	#signal(name: NodeJS.Signals): void {
		try {
			process.kill(this.#pid, name);
		} catch {
			// It has ended: the test says so.
		}
	}
}

interface Guarded {
	readonly guards?: readonly { readonly name: string; readonly shard?: number; readonly since: string; readonly value: number }[];
}

/** The answer to a client that wants to connect. */
function knock(url: string, path = "/ws") {
	const upgrade = { connection: "Upgrade", upgrade: "websocket", "sec-websocket-version": "13" };
	const headers = { ...upgrade, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
	return httpRequest(`${url.replace("ws:", "http:")}${path}`, { headers, deadlineMs: 10_000 });
}

describe("guards of a cluster whose loops are late", () => {
	let cluster: Cluster;
	const clients: RawClient[] = [];
	const pulses: Pulse[] = [];
	let published = 0;
	let publisher: NodeJS.Timeout | undefined;

	beforeAll(async () => {
		// CPU and memory are those of a machine that runs other tests.
		const flags = [
			"--guard-loop-lag",
			"150ms",
			"--guard-hold",
			// The pulse, which this process makes, may stop for a second or two.
			"3s",
			"--guard-cpu",
			"off",
			"--guard-memory",
			"off",
			"--log-format",
			"json",
		];
		cluster = await startCluster({ shards: 2, flags: [...flags, "--heartbeat-timeout", "1m"] });
		clients.push(...(await Promise.all(Array.from({ length: 20 }, () => RawClient.open(`${cluster.url}/ws`)))));
		const sender = await RawClient.open(`${cluster.url}/ws`);
		publisher = setInterval(() => sender.send(`m${published++}`), 50);
	});
	afterAll(async () => {
		clearInterval(publisher);
		for (const pulse of pulses) pulse.stop();
		await cluster?.stop();
	});

	const acting = async () => ((await cluster.health()) as Guarded).guards ?? [];
	const pid = async (shard: number) => (await cluster.health()).shards[shard]!.pid;
	const acts = (what: readonly string[]) =>
		waitFor(
			async () => {
				const names = (await acting()).map(({ name, shard }) => `${name} of ${shard}`);
				if (names.join() !== what.join()) throw new Error(names.join() || "none acts");
				return true;
			},
			{ deadlineMs: 30_000, what: what.join() || "no guard" },
		);

	it("of one shard: new clients go to the other one, and the shard's own port answers 503", async () => {
		await acts([]);
		const before = (await cluster.health()).shards.map(({ connections }) => connections);
		pulses.push(new Pulse(await pid(0)));
		await acts(["loop_lag of 0"]);
		const more = await Promise.all(Array.from({ length: 6 }, () => RawClient.open(`${cluster.url}/ws`)));
		await waitFor(async () => (await cluster.health()).shards[1]!.connections === before[1]! + 6, {
			deadlineMs: 5_000,
			what: "all six on shard 1",
		});
		const refused = await knock(cluster.shardUrl(0));
		expect([refused.status, JSON.parse(refused.body).error.code]).toEqual([503, "overloaded"]);
		expect((await knock(cluster.shardUrl(1))).status).toBe(101);
		for (const client of more) await client.close();
	});

	it("of all shards: the balancer answers 503 with Retry-After, and says everywhere which guard acts; everything else is served", async () => {
		pulses.push(new Pulse(await pid(1)));
		await acts(["loop_lag of 0", "loop_lag of 1"]);
		const refused = await Promise.all(Array.from({ length: 10 }, () => knock(cluster.url)));
		for (const { status, headers, body } of refused) {
			expect([status, JSON.parse(body).error.code]).toEqual([503, "overloaded"]);
			expect(Number(headers["retry-after"])).toBeGreaterThanOrEqual(10);
			expect(Number(headers["retry-after"])).toBeLessThanOrEqual(20);
		}
		expect((await knock(cluster.url, "/connection/sse?cf_connect=%7B%7D")).status, "a client without a WebSocket").toBe(503);

		const viewer = await LibraryClient.open(`${cluster.url}/console/feed`);
		await viewer.waitForMessages(1, 20_000);
		expect(viewer.texts()[0]).toContain("shard 0 refuses new clients since");
		await viewer.close();
		// A shard that is stopped for longer than it is to be counts as silent meanwhile.
		const told = async () => {
			const { status, reasons } = await cluster.health();
			expect(status).toBe("degraded");
			expect(reasons).toEqual([0, 1].map((shard) => expect.stringMatching(sentence(shard))));
			return true;
		};
		await waitFor(told, { deadlineMs: 5_000, what: "the reasons" });
		const ready = await httpRequest(`${cluster.httpUrl}/ready`);
		expect([ready.status, JSON.parse(ready.body)]).toMatchObject([
			200,
			{ ready: true, guards: [{ name: "loop_lag" }, { name: "loop_lag" }] },
		]);
		const top = await promisify(execFile)(process.execPath, [main, "top", "--once", "--pid", String(cluster.process.pid)]);
		expect(top.stdout.split("\n").filter((line) => line.startsWith("GUARD"))).toHaveLength(2);
		const metrics = await Scrape.of(cluster.httpUrl);
		expect(metrics.sum("shardcast_guard_active", { shard: "1", guard: "loop_lag" })).toBe(1);
		expect(metrics.sum("shardcast_guard_threshold", { shard: "1", guard: "loop_lag" })).toBe(0.15);
		expect(metrics.sum("shardcast_balancer_connections_total", { outcome: "refused_overloaded" })).toBeGreaterThanOrEqual(11);
		expect(metrics.sum("shardcast_connections_refused_total", { shard: "0", reason: "overloaded" })).toBeGreaterThanOrEqual(1);
		await cluster.process.waitForOutput(/"audit":"guard","guard":"loop_lag","shard":1.*"acts":true/, 5_000);
	});

	it("recovers by itself, and those who were connected have got every message once and in order", async () => {
		for (const pulse of pulses.splice(0)) pulse.stop();
		await acts([]);
		await waitFor(async () => (await cluster.health()).status === "healthy", { deadlineMs: 5_000, what: "a healthy cluster" });
		const late = await RawClient.open(`${cluster.url}/ws`);
		await late.close();
		clearInterval(publisher);
		const all = Array.from({ length: published }, (_, index) => `m${index}`);
		for (const client of clients) {
			await client.waitForMessages(published, 20_000);
			expect(client.ending).toBe("");
			expect(client.texts()).toEqual(all);
		}
		await waitFor(() => /"audit":"guard","guard":"loop_lag","shard":1.*"acts":false/.test(cluster.log()), {
			deadlineMs: 5000,
			what: "the line",
		});
	});
});

function sentence(shard: number): RegExp {
	return new RegExp(`^shard ${shard} refuses new clients since .* UTC: delay of the event loop: \\d+ ms \\(guards\\.loop_lag: 150 ms\\)$`);
}
