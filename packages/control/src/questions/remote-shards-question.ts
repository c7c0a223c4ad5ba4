import type { RemoteShardHealth } from "@shardcast/scoreboard";
import type { Question } from "../asking/question.ts";
import type { ClusterEvent } from "../event-log.ts";

/** What the balancer tells of the shards of other machines. */
export interface RemoteReport {
	/** All, as they are now. */
	readonly states: readonly RemoteShardHealth[];
	/** What has happened since the last report. */
	readonly events: readonly Pick<ClusterEvent, "level" | "text">[];
}

/** The balancer tells the supervisor how the remote shards are: only it asks them. The answer says nothing. */
export const remoteShardsQuestion: Question<RemoteReport, never, null> = {
	name: "remote_shards",
	asks: "nobody",
	deadlineMs: 1000,
	isOrder: true,
	check: () => {
		throw new Error("nobody has a part of this answer");
	},
};
