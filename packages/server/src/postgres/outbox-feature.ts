import { outboxMetrics } from "@shardcast/control";
import { Outbox } from "@shardcast/postgres";
import { showTroubles } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import type { Feature } from "../lifecycle/feature.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { withinDeadline } from "../lifecycle/within-deadline.ts";
import { publishRow, type RowPublisherParts } from "./publish-row.ts";
import { shardDatabase } from "./shard-database.ts";

interface OutboxFeatureParts extends RowPublisherParts {
	readonly options: Pick<ShardOptions, "config" | "board" | "row" | "log">;
}

/** Escapes and Base64 may make a row longer than its payload. */
const overheadBytes = 65_536;

/** The outbox in PostgreSQL; null = none is configured. On each node, the shard with the lowest number may read it. */
export function outboxFeature({ options, ...publishing }: OutboxFeatureParts): Feature | null {
	const { config, row, log } = options;
	const database = shardDatabase(options);
	if (database === null) return null;
	const outbox = new Outbox({
		options: database.options,
		selectLimit: config.outboxSelectLimit,
		pollMs: config.outboxPollIntervalMs,
		rowBytesMax: 2 * config.maxPayloadBytes + overheadBytes,
		mayRead: database.isFirst,
		publish: (each) => publishRow(publishing, each),
		onProblem: (problem) => showTroubles(row, "postgres", new Map(problem === null ? [] : [["postgresConnection", problem]])),
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
