import { fileURLToPath } from "node:url";

/** Where the programs of the other processes are, wherever npm has put them. */
export function entries(): { readonly shard: string; readonly balancer: string } {
	return {
		shard: fileURLToPath(import.meta.resolve("@shardcast/shard")),
		balancer: fileURLToPath(import.meta.resolve("@shardcast/balancer")),
	};
}
