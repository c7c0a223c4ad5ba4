import { integer, required } from "../arguments.ts";
import { defineVerb } from "../verb.ts";
import { leaving } from "./drain.ts";
import { clientsText, operate, slotMax } from "./shard-operation.ts";

/** Changes the number of shards. */
export const scale = defineVerb({
	name: "scale",
	summary: "Start more shards and move clients to them, or drain the last shards and end them.",
	arguments: {
		count: required(integer("<shards>", { min: 1, max: slotMax + 1 }), { help: "Number of shards." }),
		...leaving,
	},
	changes: true,
	isExclusive: true,
	workers: ["shard"],
	example: "scale 4",
	async run({ count, rate, timeout, force = false }, context) {
		const given = { ...(rate !== undefined && { rate }), ...(timeout !== undefined && { timeoutMs: timeout }), force };
		const result = await operate(context, (shards, onProgress) => shards.scale(count, { ...given, onProgress }));
		const ended = result.ended ?? result.rebalance?.ended;
		if (ended !== undefined) context.partly(ended);
		return result;
	},
	describe: ({ before, after, moved, cutOff, rebalance, tookMs }) => [
		before === after ? `there are ${after} shards, as before` : `${before} → ${after} shards, ${(tookMs / 1000).toFixed(1)} s`,
		...(moved > 0 ? [`${clientsText(moved)} moved away from removed shards`] : []),
		...(cutOff > 0 ? [`${cutOff} cut off`] : []),
		...(rebalance === undefined ? [] : [`${clientsText(rebalance.moved)} moved to the new shards`]),
		...(before === after ? [] : ["until the supervisor is restarted, which starts as many as --shards says"]),
	],
});
