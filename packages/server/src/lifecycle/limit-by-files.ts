import type { ShardOptions } from "./shard-options.ts";

/** Lowers the shard's limit of clients if the process may not open more files. Call before clients can connect: everything else needs descriptors, too. */
export function limitByFiles({ row, log, connectionsFit }: Pick<ShardOptions, "row" | "log" | "connectionsFit">): void {
	row.connectionsFit = Number.isFinite(connectionsFit) ? connectionsFit : 0;
	const { connectionsGiven, connectionsMax } = row;
	if (connectionsMax === connectionsGiven) return;
	log.warn(
		{ connectionsMax, connectionsGiven },
		`accepts ${connectionsMax} clients instead of ${connectionsGiven}: it may not open more files (ulimit -n, LimitNOFILE=)`,
	);
}
