import type { ShardOptions } from "./shard-options.ts";

/** Takes fewer clients when the process may not open more files. Before anybody can connect: without descriptors, whatever needs one fails. */
export function limitByFiles({ row, log, connectionsFit }: Pick<ShardOptions, "row" | "log" | "connectionsFit">): void {
	row.connectionsFit = Number.isFinite(connectionsFit) ? connectionsFit : 0;
	const { connectionsGiven, connectionsMax } = row;
	if (connectionsMax === connectionsGiven) return;
	log.warn(
		{ connectionsMax, connectionsGiven },
		`takes ${connectionsMax} clients instead of ${connectionsGiven}: it may not open more files (ulimit -n, LimitNOFILE=)`,
	);
}
