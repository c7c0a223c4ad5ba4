import type { ClusterEvent, ConsoleAnswer, ConsolePart } from "@shardcast/control";
import type { SupervisedChild } from "./children/supervised-child.ts";

/** A shard that has not answered by then is left out. */
const partMs = 500;

/** What the console wants that no shard knows alone: what has happened, and what each shard knows of itself. */
export async function consoleAnswer(
	channels: readonly string[],
	shards: readonly Pick<SupervisedChild, "serving" | "request">[],
	events: readonly ClusterEvent[],
): Promise<ConsoleAnswer> {
	const asked = shards.filter(({ serving }) => serving).map((shard) => shard.request({ what: "console", channels }, partMs));
	const answers = await Promise.allSettled(asked);
	const parts = answers.flatMap((answer) => (answer.status === "fulfilled" && answer.value !== null ? [answer.value as ConsolePart] : []));
	return { events, parts };
}
