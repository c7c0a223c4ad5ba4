import { clientsText, type RestartResult, type RollingRestartResult } from "../../operations/operation.ts";
import { ArgumentError, integer, optional, toggle } from "../arguments.ts";
import { defineVerb } from "../verb.ts";
import { leaving } from "./drain.ts";
import { operate, slotMax } from "./shard-operation.ts";

/** Replaces the process of one shard, or all processes but the supervisor. */
export const restart = defineVerb({
	name: "restart",
	summary: "Replace the process of a shard by one of the installed version, or with --rolling those of all shards and the balancer.",
	arguments: {
		shard: optional(integer("<shard>", { min: 0, max: slotMax }), { help: "Number of the shard.", place: "word" }),
		rolling: toggle("All shards, one after the other, and then the balancer; clients are moved, and no connection is refused."),
		...leaving,
	},
	changes: true,
	isExclusive: true,
	workers: ["shard"],
	example: "restart --rolling",
	check({ shard, rolling = false }) {
		if (shard === undefined && !rolling) throw new ArgumentError('name one shard, as in "restart 1", or give --rolling for all');
		if (shard !== undefined && rolling) throw new ArgumentError("--rolling is for all shards; leave out either it or the shard");
	},
	async run({ shard, rate, timeout, force = false }, context): Promise<RestartResult | RollingRestartResult> {
		const given = { ...(rate !== undefined && { rate }), ...(timeout !== undefined && { timeoutMs: timeout }), force };
		return operate<RestartResult | RollingRestartResult>(context, (shards, onProgress) =>
			shard === undefined ? shards.rollingRestart({ ...given, onProgress }) : shards.restart(shard, { ...given, onProgress }),
		);
	},
	describe: (result) => ("shards" in result ? describeRolling(result) : [describeShard(result)]),
});

function describeShard({ shard, moved, lost, cutOff, from, to }: RestartResult): string {
	const cut = lost + cutOff === 0 ? "" : `, ${lost + cutOff} cut off`;
	return `shard ${shard}: ${versions(from, to)}, ${clientsText(moved)} moved${cut}`;
}

function describeRolling({ shards, balancer, supervisor, tookMs, rebalance }: RollingRestartResult): readonly string[] {
	return [
		...shards.map(describeShard),
		balancer.restarted ? `balancer: ${versions(balancer.from, balancer.to)}` : `balancer: not restarted; ${balancer.why}`,
		`supervisor: keeps ${supervisor}; only a stop and a start replace it`,
		...(rebalance === undefined ? [] : [`${clientsText(rebalance.moved)} moved to balance the shards`]),
		`${(tookMs / 1000).toFixed(1)} s`,
	];
}

function versions(from: string | null, to: string | null): string {
	return from === to ? `restarted, ${to}` : `${from ?? "down"} → ${to}`;
}
