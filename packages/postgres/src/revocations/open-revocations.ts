import type { Config } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import { postgresOptionsOf } from "../postgres-options.ts";
import { RevocationTable } from "./revocation-table.ts";

/** The list of a node in PostgreSQL; null = none is configured. It connects when it is started. */
export function openRevocations(config: Config, log: Pick<Log, "info" | "error">): RevocationTable | null {
	const options = postgresOptionsOf(config, `shardcast:${config.nodeId || "node"}:revocations`);
	return options === null ? null : new RevocationTable({ options, log });
}
