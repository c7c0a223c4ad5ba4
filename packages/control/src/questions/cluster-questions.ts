import type { EventLog } from "../event-log.ts";
import { answerMetrics, type ClusterMetricsParts } from "../metrics/cluster-metrics.ts";
import { answerChannels } from "./channels-question.ts";
import { consoleQuestion } from "./console-question.ts";
import { answerInventory } from "./inventory-questions.ts";
import { answerPresence } from "./presence-questions.ts";
import { answerRevocations } from "./revocation-questions.ts";
import { answerUsers } from "./user-questions.ts";

export interface ClusterQuestionsParts extends ClusterMetricsParts {
	readonly events: Pick<EventLog, "events">;
}

/** Adds all questions that can be put to a cluster, each with how the parts become one answer: in the supervisor, or in a process that has none. */
export function answerCluster(parts: ClusterQuestionsParts): void {
	const { questions, events } = parts;
	answerMetrics(parts);
	answerPresence(questions);
	answerChannels(questions);
	answerInventory(questions);
	answerUsers(questions);
	answerRevocations(questions);
	questions.add(consoleQuestion, (answers) => ({ events: events.events, parts: answers }));
}
