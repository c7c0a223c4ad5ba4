import { checkValues, type MetricValues } from "@shardcast/telemetry";
import type { Question } from "../asking/question.ts";

/** The metrics in the memory of each process. The merged answer is the response to GET /metrics. */
export const metricsQuestion: Question<null, readonly MetricValues[], string> = {
	name: "metrics",
	asks: "everyProcess",
	deadlineMs: 1000,
	check: checkValues,
};
