import type { ClusterEvent, ConsoleAnswer } from "@shardcast/service";
import type { SupervisedChild } from "./children/supervised-child.ts";

/** A shard that has not answered by then is left out of the sums. */
const partMs = 500;

/** What the console wants that no shard knows alone: what has happened, and how many clients listen to each channel, on all shards together. */
export async function consoleAnswer(
	channels: readonly string[],
	shards: readonly Pick<SupervisedChild, "serving" | "request">[],
	events: readonly ClusterEvent[],
): Promise<ConsoleAnswer> {
	const parts = await Promise.allSettled(
		shards.filter(({ serving }) => serving).map((shard) => shard.request({ what: "subscribers", channels }, partMs)),
	);
	const subscribers = channels.map(() => 0);
	for (const part of parts) {
		if (part.status === "rejected" || !Array.isArray(part.value)) continue;
		for (const [index, count] of part.value.entries())
			if (index < subscribers.length && Number.isFinite(count)) subscribers[index] += count;
	}
	return { events, subscribers };
}
