// @module-tag long
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, freePorts, getJson, LibraryClient, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dashboards } from "../grafana/dashboards.mjs";
import { available } from "./commands.ts";
import { deploy } from "./metric-names.ts";

const installed = await available("prometheus", "prometheus");

interface Result {
	readonly status: string;
	readonly error?: string;
	readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}
interface Rules {
	readonly data: {
		readonly groups: readonly { readonly rules: readonly { name: string; health: string; state?: string; lastError?: string }[] }[];
	};
}

/** Queries that have nothing to show in a cluster that is well and consumes nothing, with why. */
const mayBeEmpty = [
	// No backend is asked.
	/shardcast_hook_/,
	/shardcast(_|:)kafka_/, // no Kafka here
	/shardcast_webhook_/, // no webhook here
	/shardcast_trace/, // no traces here
	/shardcast_(redis_|shared_|nodes?[_{])/, // one machine, without Redis
	/shardcast_(outbox|postgres)_/, // no PostgreSQL here
	/shardcast_edge_/, // no edge here
	/shardcast_gateway_/, // no gateway here
	/shardcast_balancer_remote_/, // no remote shards here
	/ > 0$/, // a panel that shows only what is not 0, such as guards that act
	/shardcast_deliveries_total\{[^}]*\}\[[^\]]*\]\) > 0/, // a shard may have nothing to deliver in the last seconds
];

describe.skipIf(!installed)("a real Prometheus with our configuration, on a running cluster", () => {
	let cluster: Cluster;
	let prometheus: ChildProcess;
	let client: LibraryClient;
	let api: string;
	const directory = mkdtempSync(join(tmpdir(), "shardcast-prometheus-"));

	beforeAll(async () => {
		cluster = await startCluster({ shards: 2, flags: ["--client-insecure"] });
		cpSync(join(deploy, "prometheus"), directory, { recursive: true });
		const port = await freePorts(1);
		api = `http://127.0.0.1:${port}`;
		const path = join(directory, "prometheus.yml");
		const config = readFileSync(path, "utf8")
			.replace("shardcast:3005", new URL(cluster.httpUrl).host)
			.replace("localhost:9090", `127.0.0.1:${port}`)
			.replace(
				/scrape_interval: \S+\n\s*scrape_timeout: \S+\n\s*evaluation_interval: \S+/,
				"scrape_interval: 1s\n  scrape_timeout: 1s\n  evaluation_interval: 1s",
			);
		writeFileSync(path, config);
		const args = [`--config.file=${path}`, `--storage.tsdb.path=${join(directory, "data")}`, `--web.listen-address=127.0.0.1:${port}`];
		prometheus = spawn("prometheus", args, { stdio: "ignore" });
		client = await LibraryClient.open(cluster.url);
		const other = await LibraryClient.open(cluster.url);
		const endpoint = `${cluster.url}/connection/websocket`;
		const commands = await LibraryClient.open(endpoint);
		commands.send('{"connect":{},"id":1}');
		let id = 1;
		// Something happens while Prometheus looks, else a rate has nothing to divide. For the panels of errors, it goes wrong.
		const sending = setInterval(() => {
			client.send("tick");
			other.send("tock");
			const [channel, nowhere] = [{ channel: "plain" }, { channel: "no-namespace:x" }];
			for (const command of [{ history: channel }, { subscribe: nowhere }]) commands.send(JSON.stringify({ ...command, id: ++id }));
			void LibraryClient.open(endpoint).then((mistaken) => mistaken.send("no command"));
		}, 100);
		await waitFor(async () => (await ask("count_over_time(up[1m]) > 8")).length === 2, {
			deadlineMs: 40_000,
			what: "nine scrapes of both targets",
			everyMs: 250,
		});
		clearInterval(sending);
	});
	afterAll(async () => {
		if (prometheus?.exitCode === null) {
			prometheus.kill();
			await once(prometheus, "exit");
		}
		await cluster?.stop();
		rmSync(directory, { recursive: true, force: true });
	});

	async function ask(query: string): Promise<Result["data"]["result"]> {
		const { status, error, data } = await getJson<Result>(`${api}/api/v1/query?query=${encodeURIComponent(query)}`);
		if (status !== "success") throw new Error(`${query}: ${error}`);
		return data.result;
	}

	it("scrapes the cluster", async () => {
		expect((await ask('up{job="shardcast"}'))[0]?.value[1]).toBe("1");
	});

	it("every panel has something to show", async () => {
		const empty: string[] = [];
		for (const [name, { panels }] of Object.entries(dashboards))
			for (const { title, targets } of panels)
				for (const { expr } of targets ?? []) {
					const query = expr.replaceAll("$instance", ".*").replaceAll("$__rate_interval", "10s");
					const result = await ask(query);
					if (result.length === 0 && !mayBeEmpty.some((pattern) => pattern.test(query))) empty.push(`${name} / ${title}: ${query}`);
				}
		expect(empty).toEqual([]);
	});

	it("every rule can be evaluated, and no alert fires on a cluster that is well", async () => {
		const { data } = await getJson<Rules>(`${api}/api/v1/rules`);
		const rules = data.groups.flatMap((group) => group.rules);
		expect(rules.length).toBeGreaterThan(15);
		for (const { name, health, state, lastError } of rules) {
			expect(health, `${name}: ${lastError}`).toBe("ok");
			// One may be pending on a machine that is busy with other things.
			expect(state, name).not.toBe("firing");
		}
	});
});
