import type { Question } from "../asking/question.ts";
import type { Questions } from "../asking/questions.ts";

export interface ListedChannel {
	readonly name: string;
	readonly subscribers: number;
}

/** Most channels in an answer, and in each part of it. */
export const listedChannelsMax = 20;

/**
 * Channels whose names contain a text, by the number of subscribers of the Centrifuge protocol. Approximate, for people who search: each shard
 * reports only its top channels, so channels may be missing, and counts may be too low.
 */
export const channelsQuestion: Question<{ readonly search: string }, readonly ListedChannel[], readonly ListedChannel[]> = {
	name: "channels",
	asks: "shards",
	deadlineMs: 500,
	check: (data) => {
		const isChannel = (one: Partial<ListedChannel> | null) => typeof one?.name === "string" && typeof one.subscribers === "number";
		if (!Array.isArray(data) || data.length > listedChannelsMax || !data.every(isChannel)) throw new Error("it is not a list of channels");
		return data as ListedChannel[];
	},
};

/** Registers how the parts are merged into an answer. */
export function answerChannels(questions: Pick<Questions, "add">): void {
	questions.add(channelsQuestion, (parts) => {
		const sums = new Map<string, number>();
		for (const { name, subscribers } of parts.flat()) sums.set(name, (sums.get(name) ?? 0) + subscribers);
		const channels = Array.from(sums, ([name, subscribers]) => ({ name, subscribers }));
		return channels
			.sort((one, other) => other.subscribers - one.subscribers || (one.name < other.name ? -1 : 1))
			.slice(0, listedChannelsMax);
	});
}
