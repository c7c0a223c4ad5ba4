import { outboxMetrics } from "@shardcast/control";
import { Outbox, postgresOptionsOf } from "@shardcast/postgres";
import { Role } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import type { Feature } from "../lifecycle/feature.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { withinDeadline } from "../lifecycle/within-deadline.ts";
import { publishRow, type RowPublisherParts } from "./publish-row.ts";

interface OutboxFeatureParts extends RowPublisherParts {
	readonly options: Pick<ShardOptions, "config" | "board" | "row" | "log">;
}

/** Escapes and Base64 may make a row longer than its payload. */
const overheadBytes = 65_536;

/** The outbox in PostgreSQL; null = none is configured. On each node, the shard with the lowest number may read it. */
export function outboxFeature({ options, ...publishing }: OutboxFeatureParts): Feature | null {
	const { config, board, row, log } = options;
	const postgres = postgresOptionsOf(config, `shardcast:${config.nodeId || "node"}:shard-${row.slot}`);
	if (postgres === null) return null;
	const outbox = new Outbox({
		options: postgres,
		selectLimit: config.outboxSelectLimit,
		pollMs: config.outboxPollIntervalMs,
		rowBytesMax: 2 * config.maxPayloadBytes + overheadBytes,
		mayRead: () => board.members().every(({ role, slot }) => role !== Role.shard || slot >= row.slot),
		publish: (each) => publishRow(publishing, each),
		log,
		nowMs: monotonicMs,
	});
	return {
		name: "outbox",
		measures: (metrics) => metrics.addReading(outboxMetrics, () => outbox.counts),
		serving: () => outbox.start(),
		drain: (leftMs) => withinDeadline(outbox.drain(), leftMs),
		stop: () => outbox.stop(),
	};
}
