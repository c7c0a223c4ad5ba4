import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { createLog, type Log, ProcessMetrics } from "@shardcast/telemetry";
import type { PartAnswers } from "./asking/part-answers.ts";
import type { StartMessage } from "./messages.ts";
import { metricsQuestion } from "./questions/metrics-question.ts";

/** What every child has after joining its cluster. */
interface JoinedCluster {
	readonly directory: ClusterDirectory;
	readonly board: Scoreboard;
	readonly log: Log;
	readonly metrics: ProcessMetrics;
}

/**
 * Called by a child on its start message. Sets the process title, opens the cluster's scoreboard, and registers the answer for its own metrics.
 * @param name "balancer" or "shard 0".
 * @throws BusError when the cluster's memory has another major version.
 */
export function joinCluster({ role, slot, cluster, config }: StartMessage, name: string, parts: PartAnswers): JoinedCluster {
	process.title = `shardcast ${name}`;
	const metrics = new ProcessMetrics(name.replace(" ", "-"), ...(role === "shard" ? [slot] : []));
	parts.add(metricsQuestion, () => metrics.values());
	const log = createLog({ name, level: config.logLevel, format: config.logFormat });
	const directory = ClusterDirectory.open(cluster);
	return { directory, board: Scoreboard.open(directory.boardPath), log, metrics };
}
