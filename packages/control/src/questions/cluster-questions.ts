import type { EventLog } from "../event-log.ts";
import { answerMetrics, type ClusterMetricsParts } from "../metrics/cluster-metrics.ts";
import type { RevocationStore } from "../revocations/revocation-store.ts";
import { answerChannels } from "./channels-question.ts";
import { type ClusterNodes, clusterNodesQuestion } from "./cluster-nodes-question.ts";
import { consoleQuestion } from "./console-question.ts";
import { answerInventory } from "./inventory-questions.ts";
import { answerPresence } from "./presence-questions.ts";
import { answerRevocations } from "./revocation-questions.ts";
import { answerUsers } from "./user-questions.ts";

interface ClusterQuestionsParts extends ClusterMetricsParts {
	readonly events: Pick<EventLog, "events">;
	/** Looked up at each use. */
	readonly revocations: () => Pick<RevocationStore, "change" | "list">;
	/** Which machines there are; null = this one works alone. */
	readonly nodes: () => ClusterNodes | null;
}

/** Registers all questions of a cluster, with the merging of their parts: in the supervisor, or in a process that has none. */
export function answerCluster(parts: ClusterQuestionsParts): void {
	const { questions, events, revocations, nodes } = parts;
	answerMetrics(parts);
	answerPresence(questions);
	answerChannels(questions);
	answerInventory(questions);
	answerUsers(questions);
	answerRevocations(questions, revocations);
	questions.add(clusterNodesQuestion, nodes);
	questions.add(consoleQuestion, (answers) => ({ events: events.events, parts: answers, nodes: nodes() }));
}
