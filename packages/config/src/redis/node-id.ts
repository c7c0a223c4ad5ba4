import { hostname } from "node:os";
import type { Config } from "../options/options.ts";

/** The id of this node; by default the host name. */
export function nodeIdOf({ nodeId }: Pick<Config, "nodeId">): string {
	return (
		nodeId ||
		hostname()
			.replace(/[^\w.-]/g, "-")
			.slice(0, 64)
	);
}
