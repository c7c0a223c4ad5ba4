import { checkValues, type MetricValues } from "@shardcast/telemetry";
import type { Question } from "./question.ts";

/** The metrics that each process keeps for itself; the answer is that to GET /metrics. */
export const metricsQuestion: Question<null, readonly MetricValues[], string> = {
	name: "metrics",
	asks: "everyProcess",
	deadlineMs: 1000,
	check: checkValues,
};
