import { boardMetrics, processMetrics } from "@shardcast/scoreboard";
import type { BoardReading, MetricValues, ProcessMetrics } from "@shardcast/telemetry";
import { readValues, renderMetrics } from "@shardcast/telemetry";
import type { Questions } from "../asking/questions.ts";
import type { Workers } from "../messages.ts";
import { metricsQuestion } from "../questions/metrics-question.ts";
import { version } from "../version.ts";
import { collectorMetrics } from "./collector-table.ts";

export interface ClusterMetricsParts {
	readonly questions: Questions;
	readonly board: () => BoardReading;
	/** The metrics of the asking process, which does not ask itself. */
	readonly own: ProcessMetrics;
	/** "shard" if not given. */
	readonly workers?: Workers;
}

/** Answers `metricsQuestion` with the values of the scoreboard and those in the memory of each process. */
export function answerMetrics({ questions, board, own, workers = "shard" }: ClusterMetricsParts): void {
	const fromBoard = workers === "shard" ? boardMetrics : processMetrics;
	let scrapes = 0;
	let lastScrapeSeconds = 0;
	own.addReading(collectorMetrics, () => ({ version, scrapes, missing: questions.missing, lastScrapeSeconds }));
	questions.add(metricsQuestion, async (parts: readonly (readonly MetricValues[])[], { beganMs }) => {
		scrapes++;
		const text = await renderMetrics([readValues(fromBoard, board()), await own.values(), ...parts]);
		lastScrapeSeconds = (performance.now() - beganMs) / 1000;
		return text;
	});
}
