import type { SelectableNode } from "./node-selector.ts";

/** Whether a node takes new clients, apart from how many it has. */
export function takesClients({ status, health, away }: Pick<SelectableNode, "status" | "health" | "away">): boolean {
	return status === "serving" && health !== "unhealthy" && away !== true;
}
