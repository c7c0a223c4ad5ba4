import { defineVerb, Refused } from "../verb.ts";

/** Stops an operation early. What it has done so far stays. */
export const cancel = defineVerb({
	name: "cancel",
	summary: "Stop the operation in progress as soon as it can; what it has done so far stays.",
	arguments: {},
	changes: true,
	isUrgent: true,
	workers: ["shard", "gateway"],
	example: "cancel",
	run(_args, { cluster }) {
		const cancelled = cluster.cancel();
		if (cancelled === null) throw new Refused("there is no operation to cancel: `shardcast status` shows those in progress");
		return cancelled;
	},
	describe: ({ command, who }) => [`asked "${command}" of ${who} to stop`],
});
