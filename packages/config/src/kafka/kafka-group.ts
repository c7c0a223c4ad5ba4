import type { Config } from "../options/options.ts";
import { nodeIdOf } from "../redis/node-id.ts";

/** Start of the names of this node's consumer groups. With several nodes each has its own, since each delivers all records to its clients. */
export function kafkaGroupOf(config: Pick<Config, "kafkaGroup" | "redisAddress" | "nodeId">): string {
	return config.redisAddress === undefined ? config.kafkaGroup : `${config.kafkaGroup}-${nodeIdOf(config)}`;
}
