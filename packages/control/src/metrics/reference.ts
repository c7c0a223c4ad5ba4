import { channelMetrics, clusterMetrics, ingestMetrics, kafkaMetrics, shardMetrics } from "@shardcast/scoreboard";
import type { MetricDescriptor } from "@shardcast/telemetry";
import { defaultMetrics } from "@shardcast/telemetry";
import { apiMetrics } from "./api-table.ts";
import { backendMetrics } from "./backend-table.ts";
import { collectorMetrics } from "./collector-table.ts";
import { historyMetrics } from "./history-table.ts";
import { nodeControlMetrics } from "./node-control-table.ts";
import { nodeMetrics } from "./node-table.ts";
import { outboxMetrics } from "./outbox-table.ts";
import { redisMetrics } from "./redis-table.ts";
import { reloadMetrics } from "./reload-table.ts";
import { revocationMetrics, sharedRevocationMetrics } from "./revocation-table.ts";
import { redisMessageMetrics, sharedChannelMetrics } from "./shared-channel-table.ts";
import { tlsMetrics } from "./tls-table.ts";
import { webhookMetrics } from "./webhook-table.ts";

/** All metrics defined by shardcast, in the order of the reference. */
export const metricTables: Readonly<Record<string, readonly MetricDescriptor[]>> = {
	Shards: shardMetrics,
	"Channels and their clients": channelMetrics,
	"Balancer and cluster": clusterMetrics,
	"Kafka ingest": [...ingestMetrics, ...kafkaMetrics],
	"History of channels": historyMetrics,
	"HTTP API": [...apiMetrics, ...revocationMetrics],
	"Several machines": [...nodeMetrics, ...nodeControlMetrics, ...sharedRevocationMetrics, ...sharedChannelMetrics, ...redisMessageMetrics],
	Redis: redisMetrics,
	"Outbox in PostgreSQL": outboxMetrics,
	"Backends that are asked about clients": backendMetrics,
	Webhooks: webhookMetrics,
	Reloads: [...reloadMetrics, ...tlsMetrics],
	"The scrape itself": collectorMetrics,
};

/** The additional label of metrics that are in a process's memory: see `ProcessMetrics`. */
const labelOfKeeper = new Map<MetricDescriptor, string>();
for (const metric of [
	...kafkaMetrics,
	...apiMetrics,
	...revocationMetrics,
	...backendMetrics,
	...sharedChannelMetrics,
	...redisMessageMetrics,
	...outboxMetrics,
])
	labelOfKeeper.set(metric, "shard");
for (const metric of [
	...historyMetrics,
	...nodeMetrics,
	...nodeControlMetrics,
	...sharedRevocationMetrics,
	...redisMetrics,
	...webhookMetrics,
	...reloadMetrics,
	...tlsMetrics,
	...collectorMetrics,
])
	labelOfKeeper.set(metric, "process");

/** The metrics reference as Markdown, a table per group, as written by `npm run docs:metrics`. */
export async function metricsReference(): Promise<string> {
	const own = Object.entries(metricTables).map(([title, table]) =>
		section(
			title,
			["name", "type", "unit", "labels", "what it tells"],
			table.map((metric) => {
				const { name, type, unit, help } = metric;
				const labels = [...metric.labels, ...(labelOfKeeper.has(metric) ? [labelOfKeeper.get(metric)] : [])];
				return [`\`${name}\``, type, unit === "none" ? "" : unit, labels.map((label) => `\`${label}\``).join(", "), help];
			}),
		),
	);
	const defaults = (await defaultMetrics()).map(({ name, type, help }) => [`\`${name}\``, type, help]);
	return [...own, section("Each process, from prom-client's defaults, label `process`", ["name", "type", "what it tells"], defaults)].join(
		"\n",
	);
}

function section(title: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
	const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
	return [`## ${title}`, "", line(head), line(head.map(() => "---")), ...rows.map(line), ""].join("\n");
}
