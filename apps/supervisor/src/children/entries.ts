import { fileURLToPath } from "node:url";
import type { Workers } from "@shardcast/control";

/** Paths of the other processes' programs, as installed by npm. */
export function entries(workers: Workers): { readonly worker: string; readonly balancer: string } {
	const pathOf = (name: string) => fileURLToPath(import.meta.resolve(name));
	return {
		worker: pathOf(workers === "shard" ? "@shardcast/shard" : "@shardcast/gateway-app"),
		balancer: pathOf("@shardcast/balancer"),
	};
}
