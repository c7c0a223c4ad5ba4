import { clientsText } from "../../operations/operation.ts";
import { integer, optional } from "../arguments.ts";
import { defineVerb } from "../verb.ts";
import { operate, rateMax } from "./shard-operation.ts";

/** Moves clients from the fullest shards to the others. */
export const rebalance = defineVerb({
	name: "rebalance",
	summary: "Ask clients of the fullest shards to connect again, until no shard has more than 5 % above its share.",
	arguments: {
		rate: optional(integer("<clients>", { min: 1, max: rateMax }), {
			help: "How many clients per second may connect again (default: --rebalance-rate).",
		}),
	},
	changes: true,
	isExclusive: true,
	workers: ["shard"],
	example: "rebalance --rate 200",
	async run({ rate }, context) {
		const given = rate === undefined ? {} : { rate };
		const result = await operate(context, (shards, onProgress) => shards.rebalance({ ...given, onProgress }));
		if (result.ended !== undefined) context.partly(result.ended);
		return result;
	},
	describe: ({ before, after, moved, tookMs }) => [
		`${clientsText(moved)} moved, ${(tookMs / 1000).toFixed(1)} s`,
		...Object.entries(after).map(([slot, count]) => `shard ${slot}: ${before[slot] ?? 0} → ${count}`),
	],
});
