import { existsSync, realpathSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { Workers } from "@shardcast/control";

/** Paths of the other processes' programs. */
export interface Entries {
	readonly worker: string;
	readonly balancer: string;
}

/**
 * Paths of the other processes' programs, as installed by npm. They are found again at each use: where this program was started through a symbolic link, such
 * as /opt/shardcast/current, the processes that start later are those of the version that it points to then.
 * @param program path of this program as it was started.
 */
export function entries(workers: Workers, program = process.argv[1]!): Entries {
	const pathOf = (name: string) => fileURLToPath(import.meta.resolve(name));
	const started = dirname(realpathSync(program));
	const current = (path: string) => {
		try {
			const now = join(dirname(realpathSync(program)), relative(started, path));
			return existsSync(now) ? now : path;
		} catch {
			// The link is being replaced, or gone.
			return path;
		}
	};
	const worker = pathOf(workers === "shard" ? "@shardcast/shard" : "@shardcast/gateway-app");
	const balancer = pathOf("@shardcast/balancer");
	return {
		get worker() {
			return current(worker);
		},
		get balancer() {
			return current(balancer);
		},
	};
}
