import { clientsText, type ScaleResult } from "../../operations/operation.ts";
import { ArgumentError, integer, required } from "../arguments.ts";
import { defineVerb, Refused } from "../verb.ts";
import { leaving } from "./drain.ts";
import { operate, shardsOf, slotMax } from "./shard-operation.ts";

const numbers = integer("<shards|auto>", { min: 1, max: slotMax + 1 });

/** A number of shards, or "auto". */
const count = required(
	{
		...numbers,
		parse(given: unknown): number | "auto" {
			if (given === "auto") return "auto";
			try {
				return numbers.parse(given);
			} catch (error) {
				throw error instanceof RangeError ? new RangeError(`${error.message}, and not auto`) : error;
			}
		},
	},
	{ help: "Number of shards; auto = follow the CPUs from now on, as with --shards auto." },
);

/** Changes the number of shards. */
export const scale = defineVerb({
	name: "scale",
	summary: "Start more shards and move clients to them, or drain the last shards and end them.",
	arguments: {
		count,
		...leaving,
	},
	changes: true,
	isExclusive: true,
	workers: ["shard"],
	example: "scale 4",
	check({ count: wanted, rate, timeout, force }) {
		if (wanted === "auto" && (rate !== undefined || timeout !== undefined || force === true))
			throw new ArgumentError("rate, timeout and force go with a number of shards; auto scales as the options say");
	},
	async run({ count: wanted, rate, timeout, force = false }, context) {
		const given = { ...(rate !== undefined && { rate }), ...(timeout !== undefined && { timeoutMs: timeout }), force };
		const { follow } = shardsOf(context);
		if (wanted === "auto") return { changed: follow.start(), ...follow.scaling };
		let hasBegun = true;
		let endsFollowing = false;
		let result: ScaleResult;
		try {
			result = await operate(context, (shards, onProgress) => shards.scale(wanted, { ...given, onProgress }));
		} catch (error) {
			hasBegun = !(error instanceof Refused);
			throw error;
		} finally {
			// Also if it failed on the way: what people have ordered is not undone behind their backs. Who cancels it wants what there is then.
			if (hasBegun) endsFollowing = follow.byHand(context.signal.aborted ? follow.scaling.present : wanted);
		}
		const ended = result.ended ?? result.rebalance?.ended;
		if (ended !== undefined) context.partly(ended);
		return { ...result, endsFollowing };
	},
	describe: (result) => {
		if ("changed" in result) {
			const { changed, wanted, present } = result;
			return [
				`the number of shards follows the CPUs${changed ? " from now on" : ", as before"}: ${wanted} wanted, ${present} present`,
				...(wanted === present ? [] : ["the cluster is scaled when the number of CPUs has been the same for half a minute"]),
			];
		}
		const { before, after, moved, cutOff, rebalance, tookMs, endsFollowing } = result;
		return [
			before === after ? `there are ${after} shards, as before` : `${before} → ${after} shards, ${(tookMs / 1000).toFixed(1)} s`,
			...(moved > 0 ? [`${clientsText(moved)} moved away from removed shards`] : []),
			...(cutOff > 0 ? [`${cutOff} cut off`] : []),
			...(rebalance === undefined ? [] : [`${clientsText(rebalance.moved)} moved to the new shards`]),
			...(before === after ? [] : ["until the supervisor is restarted, which starts as many as --shards says"]),
			...(endsFollowing ? ['the number does not follow the CPUs any more, until "shardcast scale auto"'] : []),
		];
	},
});
