import type { CommandInput } from "@shardcast/config";
import { newlyOpen } from "@shardcast/http";
import { clientsThatFit } from "@shardcast/process";
import { banner } from "../banner.ts";
import { runCluster } from "../run-cluster.ts";
import { version } from "../version.ts";

/** Runs a cluster until it is stopped. */
export async function multi({ loaded, input }: CommandInput): Promise<number> {
	process.title = "shardcast supervisor";
	return runCluster({
		...{ command: "multi", workers: "shard", gateway: null, loaded, input, opened: newlyOpen },
		onServing: ({ plan, balancer }) => {
			process.stdout.write(banner({ version, plan, connectionsFit: clientsThatFit(), balancer }));
			return { stop: () => {} };
		},
	});
}
