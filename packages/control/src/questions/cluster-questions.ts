import type { RemoteShardHealth } from "@shardcast/scoreboard";
import type { SessionAnswer, SessionRequest } from "@shardcast/selection";
import type { EventLog } from "../event-log.ts";
import { answerMetrics, type ClusterMetricsParts } from "../metrics/cluster-metrics.ts";
import type { ShardCountReading } from "../metrics/shard-count-table.ts";
import type { RevocationStore } from "../revocations/revocation-store.ts";
import { answerChannels } from "./channels-question.ts";
import { type ClusterNodes, clusterNodesQuestion } from "./cluster-nodes-question.ts";
import { consoleQuestion } from "./console-question.ts";
import { answerInventory } from "./inventory-questions.ts";
import { answerOrders, type NodeOrders } from "./node-orders.ts";
import { answerPresence } from "./presence-questions.ts";
import { answerRevocations } from "./revocation-questions.ts";
import { sessionsQuestion } from "./sessions-question.ts";
import { answerUsers } from "./user-questions.ts";

interface ClusterQuestionsParts extends ClusterMetricsParts {
	readonly events: Pick<EventLog, "events">;
	/** Looked up at each use. */
	readonly revocations: () => Pick<RevocationStore, "change" | "list">;
	/** The nodes of the cluster; null = this node works alone. */
	readonly nodes: () => ClusterNodes | null;
	/** Shards of other machines to which the balancer passes clients on; none if not given. */
	readonly remotes?: () => readonly RemoteShardHealth[];
	/** How many shards there are and should be; not given where that cannot change. */
	readonly scaling?: () => ShardCountReading | null;
	/** Carries out orders to nodes; null = this one works alone. */
	readonly orders: () => NodeOrders | null;
	/** Which nodes clients belong to. */
	readonly sessions: (requests: readonly SessionRequest[]) => Promise<readonly SessionAnswer[]>;
	/** The same, and whether they are connected to Redis. */
	readonly nodesNow: () => Promise<ClusterNodes | null>;
}

/** Registers all questions of a cluster, with the merging of their parts: in the supervisor, or in a process that has none. */
export function answerCluster(parts: ClusterQuestionsParts): void {
	const { questions, events, revocations, nodes, nodesNow, remotes = () => [], scaling = () => null, orders, sessions } = parts;
	answerMetrics(parts);
	answerPresence(questions);
	answerChannels(questions);
	answerInventory(questions);
	answerUsers(questions);
	answerRevocations(questions, revocations);
	questions.add(clusterNodesQuestion, nodesNow);
	answerOrders(questions, orders);
	questions.add(sessionsQuestion, (_parts, { request }) => sessions(request));
	questions.add(consoleQuestion, (answers) => ({
		...{ events: events.events, parts: answers, nodes: nodes(), remotes: remotes(), scaling: scaling() },
	}));
}
