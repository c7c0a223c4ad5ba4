import { type Ask, clusterNodesQuestion } from "@shardcast/control";
import { type AnswerRoute, json, noStore, refusal } from "@shardcast/http";
import type { ApiAccess } from "./api-access.ts";

interface NodesRouteParts {
	readonly ask: Ask;
	readonly access: Pick<ApiAccess, "reader">;
}

/** `GET /cluster/nodes`: the nodes that this node knows. */
export function nodesRoute({ ask, access }: NodesRouteParts): AnswerRoute {
	return {
		kind: "answer",
		method: "GET",
		path: "/cluster/nodes",
		answer: async (request) => {
			const key = access.reader(request);
			if ("status" in key) return key;
			try {
				const nodes = await ask(clusterNodesQuestion, null);
				return nodes === null ? refusal("not_found", "this machine works alone: it has no Redis (--redis-url)") : json(200, nodes, noStore);
			} catch (error) {
				return refusal("unavailable", (error as Error).message);
			}
		},
	};
}
