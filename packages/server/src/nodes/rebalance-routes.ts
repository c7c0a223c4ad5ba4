import { type Ask, clusterNodesQuestion } from "@shardcast/control";
import { type AnswerRoute, type BodyRoute, json, noStore, refusal } from "@shardcast/http";
import type { ApiAccess } from "../http/api-access.ts";
import { FieldError } from "../json/fields.ts";
import { alone, orderRoute } from "./order-route.ts";
import { isTolerance, type RebalanceConfig, type RebalanceOptions, rebalance, recommend } from "./rebalance.ts";

interface RebalanceRoutesParts {
	readonly ask: Ask;
	readonly access: Pick<ApiAccess, "reader" | "keyFor">;
	/** Read for each request. */
	readonly config: () => RebalanceConfig;
}

/** `GET /cluster/rebalance` recommends, and `POST /cluster/rebalance` carries out. */
export function rebalanceRoutes({ ask, access, config }: RebalanceRoutesParts): readonly [AnswerRoute, BodyRoute] {
	return [
		{
			kind: "answer",
			method: "GET",
			path: "/cluster/rebalance",
			query: ["tolerance"],
			answer: async (request) => {
				// Before it waits: the request is valid only until then.
				const key = access.reader(request);
				if ("status" in key) return key;
				const text = new URLSearchParams(request.query).get("tolerance");
				try {
					const options = optionsOf(text === null ? undefined : Number(text || Number.NaN));
					const known = await ask(clusterNodesQuestion, null);
					return known === null ? alone : json(200, recommend(known, config(), options), noStore);
				} catch (error) {
					return refusal(error instanceof FieldError ? "bad_request" : "unavailable", (error as Error).message, { close: false });
				}
			},
		},
		orderRoute({
			method: "rebalance",
			path: "/cluster/rebalance",
			access,
			fields: ["tolerance"],
			carryOut: async ({ tolerance }) => {
				const options = optionsOf(tolerance);
				const known = await ask(clusterNodesQuestion, null);
				return known === null ? null : rebalance(ask, known, config(), options);
			},
		}),
	];
}

function optionsOf(tolerance: unknown): RebalanceOptions {
	if (tolerance === undefined) return {};
	if (!isTolerance(tolerance)) throw new FieldError("tolerance is not a number from 0 to 1");
	return { tolerance };
}
