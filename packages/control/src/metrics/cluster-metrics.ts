import { boardMetrics } from "@shardcast/scoreboard";
import type { BoardReading, MetricValues, ProcessMetrics } from "@shardcast/telemetry";
import { readValues, renderMetrics } from "@shardcast/telemetry";
import { metricsQuestion } from "../questions/metrics-question.ts";
import type { Questions } from "../questions/questions.ts";
import { version } from "../version.ts";
import { collectorMetrics } from "./collector-table.ts";

export interface ClusterMetricsParts {
	readonly questions: Questions;
	readonly board: () => BoardReading;
	/** Those of the process that asks, which is not asked itself. */
	readonly own: ProcessMetrics;
}

/** Answers `metricsQuestion`: the scoreboard's values, and those that each process keeps for itself. */
export function answerMetrics({ questions, board, own }: ClusterMetricsParts): void {
	let scrapes = 0;
	let lastScrapeSeconds = 0;
	own.addReading(collectorMetrics, () => ({ version, scrapes, missing: questions.missing, lastScrapeSeconds }));
	questions.add(metricsQuestion, async (parts: readonly (readonly MetricValues[])[], { beganMs }) => {
		scrapes++;
		const text = await renderMetrics([readValues(boardMetrics, board()), await own.values(), ...parts]);
		lastScrapeSeconds = (performance.now() - beganMs) / 1000;
		return text;
	});
}
