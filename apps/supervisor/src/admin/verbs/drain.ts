import { clientsText } from "../../operations/operation.ts";
import { duration, integer, optional, required, toggle } from "../arguments.ts";
import { defineVerb } from "../verb.ts";
import { operate, rateMax, slotMax, timeoutMsMax } from "./shard-operation.ts";

const slots = integer("<shard>", { min: 0, max: slotMax });

const shard = required(
	{
		...slots,
		parse(given) {
			if (typeof given === "string" && given.includes(":"))
				throw new RangeError("is no shard of this machine; drain it there, or give it the weight 0 in remote.shards and reload");
			return slots.parse(given);
		},
	},
	{ help: "Number of the shard." },
);

/** How clients leave a shard; `drain` and `restart` have them. */
export const leaving = {
	rate: optional(integer("<clients>", { min: 1, max: rateMax }), {
		help: "How many clients per second may reconnect (default: --drain-rate).",
	}),
	timeout: optional(duration({ minMs: 1, maxMs: timeoutMsMax }), {
		help: "Longest wait for the clients to leave (default: --shutdown-timeout, or twice the time that the rate takes).",
	}),
	force: toggle("Also if the other shards have no room for the clients."),
};

/** Moves all clients away from a shard, which stays without clients. */
export const drain = defineVerb({
	name: "drain",
	summary: "Tell the clients of a shard to reconnect, and give it no new ones until undrain.",
	arguments: { shard, ...leaving },
	changes: true,
	isExclusive: true,
	workers: ["shard"],
	example: "drain 1 --rate 500",
	async run({ shard: slot, rate, timeout, force = false }, context) {
		const given = { ...(rate !== undefined && { rate }), ...(timeout !== undefined && { timeoutMs: timeout }), force };
		const result = await operate(context, (shards, onProgress) => shards.drain(slot, { ...given, onProgress }));
		if (result.ended !== undefined) context.partly(`${clientsText(result.left)} left: ${result.ended}`);
		return result;
	},
	describe: ({ shard: slot, moved, left, lost, tookMs, ended }) => [
		`shard ${slot} ${ended === undefined ? "is drained" : "is drained in part"}: ${clientsText(moved)} moved, ${left} left, ${(tookMs / 1000).toFixed(1)} s`,
		...(lost > 0 ? [`${clientsText(lost)} lost, because its process died meanwhile`] : []),
		`it gets no new clients until "shardcast undrain ${slot}"`,
	],
});

export const undrain = defineVerb({
	name: "undrain",
	summary: "Let a drained shard take clients again; ends its drain.",
	arguments: { shard },
	changes: true,
	workers: ["shard"],
	example: "undrain 1",
	run: ({ shard: slot }, context) => operate(context, (shards) => shards.undrain(slot)),
	describe: ({ shard: slot, changed }) => [changed ? `shard ${slot} takes clients again` : `shard ${slot} was not drained`],
});
