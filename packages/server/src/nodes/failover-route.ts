import { type Failover, failovers } from "@shardcast/config";
import { type Ask, clusterNodesQuestion } from "@shardcast/control";
import type { BodyRoute } from "@shardcast/http";
import type { ApiAccess } from "../http/api-access.ts";
import { FieldError, requiredField, textField } from "../json/fields.ts";
import { failover } from "./failover.ts";
import { orderRoute } from "./order-route.ts";

/** `POST /cluster/failover`: a node stops, and its clients connect to others. */
export function failoverRoute({ ask, access }: { readonly ask: Ask; readonly access: Pick<ApiAccess, "keyFor"> }): BodyRoute {
	return orderRoute({
		method: "failover",
		path: "/cluster/failover",
		access,
		fields: ["node", "strategy"],
		carryOut: async (fields) => {
			const [node, strategy] = [requiredField(fields, "node"), textField(fields, "strategy")];
			if (strategy !== "" && !(failovers as readonly string[]).includes(strategy))
				throw new FieldError(`strategy is not one of ${failovers.join(", ")}`);
			const order = { node, ...(strategy !== "" && { strategy: strategy as Failover }) };
			const known = await ask(clusterNodesQuestion, null);
			if (known === null) return null;
			await failover(ask, known, order);
			return order;
		},
	});
}
