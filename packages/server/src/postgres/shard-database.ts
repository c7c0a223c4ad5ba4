import { type PostgresOptions, postgresOptionsOf } from "@shardcast/postgres";
import { Role } from "@shardcast/scoreboard";
import type { ShardOptions } from "../lifecycle/shard-options.ts";

/** PostgreSQL, for a shard. */
export interface ShardDatabase {
	readonly options: PostgresOptions;
	/** One shard of each node does what only one has to do: that with the lowest number. */
	readonly isFirst: () => boolean;
}

/** Null = none is configured. */
export function shardDatabase({ config, board, row }: Pick<ShardOptions, "config" | "board" | "row">): ShardDatabase | null {
	const options = postgresOptionsOf(config, `shardcast:${config.nodeId || "node"}:shard-${row.slot}`);
	if (options === null) return null;
	return { options, isFirst: () => board.members().every(({ role, slot }) => role !== Role.shard || slot >= row.slot) };
}
