import { fileURLToPath } from "node:url";

/** Paths of the other processes' programs, as installed by npm. */
export function entries(): { readonly shard: string; readonly balancer: string } {
	return {
		shard: fileURLToPath(import.meta.resolve("@shardcast/shard")),
		balancer: fileURLToPath(import.meta.resolve("@shardcast/balancer")),
	};
}
