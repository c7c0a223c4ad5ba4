import type { Redis } from "@shardcast/redis";
import type { NodeKeys } from "../node-keys.ts";

type AnswerKeys = Pick<NodeKeys, "control" | "answers">;

/** Asks Redis which processes of nodes listen on their channels for answers. A process that does not is dead or cut off. */
export function connectedCommand(keys: AnswerKeys, instances: readonly string[]): Parameters<Redis["pipeline"]>[0][number] {
	return { key: keys.control, args: ["PUBSUB", "SHARDNUMSUB", ...instances.map((instance) => keys.answers(instance))] };
}

/**
 * @param answer channel, number of its subscribers, channel … What cannot be read says nothing of any process.
 * @returns instances of those that do not listen.
 */
export function awayIn(answer: unknown, keys: AnswerKeys, instances: readonly string[]): ReadonlySet<string> {
	if (!Array.isArray(answer)) return new Set();
	const counts = new Map<string, number>();
	for (let at = 0; at + 1 < answer.length; at += 2) counts.set(String(answer[at]), Number(answer[at + 1]));
	return new Set(instances.filter((instance) => counts.get(keys.answers(instance)) === 0));
}
