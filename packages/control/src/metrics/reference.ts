import { channelMetrics, clusterMetrics, guardMetrics, ingestMetrics, kafkaMetrics, shardMetrics } from "@shardcast/scoreboard";
import type { MetricDescriptor } from "@shardcast/telemetry";
import { defaultMetrics } from "@shardcast/telemetry";
import { adminOperationMetrics, adminRequestMetrics, adminSocketMetrics } from "./admin-table.ts";
import { apiMetrics } from "./api-table.ts";
import { backendMetrics } from "./backend-table.ts";
import { collectorMetrics } from "./collector-table.ts";
import { edgeMetrics } from "./edge-table.ts";
import { gatewayMetrics } from "./gateway-table.ts";
import { historyMetrics } from "./history-table.ts";
import { nodeControlMetrics } from "./nodes/node-control-table.ts";
import { nodeMetrics } from "./nodes/node-table.ts";
import { rebalanceMetrics } from "./nodes/rebalance-table.ts";
import { redisMetrics } from "./nodes/redis-table.ts";
import { scaleMetrics } from "./nodes/scale-table.ts";
import { selectionMetrics, sessionMetrics } from "./nodes/selection-table.ts";
import { redisMessageMetrics, sharedChannelMetrics } from "./nodes/shared-channel-table.ts";
import { outboxMetrics } from "./outbox-table.ts";
import { postgresRevocationMetrics, postgresStoreMetrics } from "./postgres-table.ts";
import { reloadMetrics } from "./reload-table.ts";
import { remoteMetrics } from "./remote-table.ts";
import { revocationMetrics, sharedRevocationMetrics } from "./revocation-table.ts";
import { shardCountMetrics } from "./shard-count-table.ts";
import { tlsMetrics } from "./tls-table.ts";
import { slowMessageMetrics, traceMetrics } from "./trace-table.ts";
import { webhookMetrics } from "./webhook-table.ts";

/** Where the values of some metrics are: "" = in the scoreboard; otherwise in the memory of processes, which adds this label. See `ProcessMetrics`. */
type Kept = readonly [label: "" | "shard" | "process" | "process or shard", metrics: readonly MetricDescriptor[]];

/** All metrics defined by shardcast, in the order of the reference. */
const groups: Readonly<Record<string, readonly Kept[]>> = {
	Shards: [["", shardMetrics]],
	"Channels and their clients": [["", channelMetrics]],
	"Balancer and cluster": [["", clusterMetrics]],
	Guards: [["", guardMetrics]],
	"Kafka ingest": [
		["", ingestMetrics],
		["shard", kafkaMetrics],
	],
	"History of channels": [["process", historyMetrics]],
	"HTTP API": [["shard", [...apiMetrics, ...revocationMetrics]]],
	"Several machines": [
		["process", nodeMetrics],
		["process", rebalanceMetrics],
		["process", scaleMetrics],
		["process or shard", selectionMetrics],
		["process", [...sessionMetrics, ...nodeControlMetrics, ...sharedRevocationMetrics]],
		["shard", [...sharedChannelMetrics, ...redisMessageMetrics]],
	],
	"Shards of other machines": [["process", remoteMetrics]],
	"The edge": [["process", edgeMetrics]],
	"The gateway": [["process or shard", gatewayMetrics]],
	Redis: [["process", redisMetrics]],
	"Outbox in PostgreSQL": [["shard", outboxMetrics]],
	"Durable channels and blocked users in PostgreSQL": [
		["shard", postgresStoreMetrics],
		["process", postgresRevocationMetrics],
	],
	"Backends that are asked about clients": [["shard", backendMetrics]],
	Webhooks: [["process", webhookMetrics]],
	"Admin interface": [
		["process", [...adminOperationMetrics, ...adminSocketMetrics]],
		["process", shardCountMetrics],
		["process or shard", adminRequestMetrics],
	],
	"Slow messages and traces": [["shard", [...slowMessageMetrics, ...traceMetrics]]],
	Reloads: [["process", [...reloadMetrics, ...tlsMetrics]]],
	"The scrape itself": [["process", collectorMetrics]],
};

/** The same, without where their values are. */
export const metricTables: Readonly<Record<string, readonly MetricDescriptor[]>> = Object.fromEntries(
	Object.entries(groups).map(([title, group]) => [title, group.flatMap(([, metrics]) => metrics)]),
);

/** The metrics reference as Markdown, a table per group, as written by `npm run docs:metrics`. */
export async function metricsReference(): Promise<string> {
	const own = Object.entries(groups).map(([title, group]) =>
		section(
			title,
			["name", "type", "unit", "labels", "what it tells"],
			group.flatMap(([label, metrics]) =>
				metrics.map(({ name, type, unit, help, labels }) => {
					const all = label === "" ? labels : [...labels, ...label.split(" or ")];
					return [`\`${name}\``, type, unit === "none" ? "" : unit, all.map((each) => `\`${each}\``).join(", "), help];
				}),
			),
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
