import { expect, it } from "vitest";
import { Questions } from "../src/asking/questions.ts";
import { answerChannels, channelsQuestion, type ListedChannel, listedChannelsMax } from "../src/questions/channels-question.ts";

function asked(...parts: readonly unknown[]): Promise<readonly ListedChannel[]> {
	const processes = parts.map((part, slot) => ({ name: `shard-${slot}`, isShard: true, request: () => Promise.resolve(part) }));
	const questions = new Questions({ processes: () => processes, log: { warn: () => {} } });
	answerChannels(questions);
	return questions.ask(channelsQuestion, { search: "" });
}

it("channels of all shards are added up, those with the most subscribers come first, and there are only so many", async () => {
	const many = (from: number) => Array.from({ length: listedChannelsMax }, (_, index) => ({ name: `c${from + index}`, subscribers: 1 }));
	expect(
		(
			await asked(
				[{ name: "b", subscribers: 2 }],
				[
					{ name: "a", subscribers: 3 },
					{ name: "b", subscribers: 2 },
				],
			)
		).map((one) => one),
	).toEqual([
		{ name: "b", subscribers: 4 },
		{ name: "a", subscribers: 3 },
	]);
	expect(await asked(many(0), many(100))).toHaveLength(listedChannelsMax);
});

it.each([["text"], [null], [[null]], [[{ name: 1, subscribers: 1 }]], [Array(listedChannelsMax + 1).fill({ name: "a", subscribers: 1 })]])(
	"a shard that answers %j costs its own part only",
	async (part) => {
		expect(await asked(part, [{ name: "a", subscribers: 3 }])).toEqual([{ name: "a", subscribers: 3 }]);
	},
);
