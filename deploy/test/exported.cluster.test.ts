import { type Cluster, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dashboards } from "../grafana/dashboards.mjs";
import { available, run } from "./commands.ts";
import { metricsOf, queries, rules } from "./metric-names.ts";

const promtool = await available("promtool", "prometheus");

describe("what a running cluster exports", () => {
	let cluster: Cluster;
	let scrape: Scrape;
	beforeAll(async () => {
		// Traces export their metrics when they are on. Nothing listens there.
		cluster = await startCluster({ shards: 2, flags: ["--otlp-endpoint", "http://127.0.0.1:1"] });
		// The guards look for the first time a second after the start.
		const hasGuards = async (): Promise<boolean> => {
			scrape = await Scrape.of(cluster.httpUrl);
			return scrape.text.includes("shardcast_guard_value{");
		};
		await waitFor(hasGuards, { deadlineMs: 20_000, everyMs: 200, what: "the figures of the guards" });
	});
	afterAll(() => cluster?.stop());

	it("has every metric of every panel and rule", () => {
		// `up` is Prometheus' own. Metrics of Kafka, hooks, webhooks, Redis, PostgreSQL and remote shards are there only where these are used; their suites look at them.
		const exported = new Set([...scrape.names(), ...rules().flatMap(({ record }) => record ?? []), "up"]);
		const missing: string[] = [];
		for (const [where, expr] of queries(dashboards))
			for (const name of metricsOf(expr))
				if (
					!exported.has(name) &&
					!/^shardcast_((kafka|hook|webhook|redis|nodes?|shared|outbox|postgres|edge|gateway|balancer_remote)_|nodes$)/.test(name)
				)
					missing.push(`${where}: ${name}`);
		expect(missing).toEqual([]);
	});

	it.skipIf(!promtool)("is what promtool takes for good metrics", async () => {
		const { status, output } = await run("promtool", ["check", "metrics"], { input: scrape.text });
		expect(status, output).toBe(0);
		expect(output).toBe("");
	});
});
