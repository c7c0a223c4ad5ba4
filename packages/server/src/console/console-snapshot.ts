import type { HistorySummary } from "@shardcast/channel-log";
import type { ClusterEvent, ClusterNodes, ConsolePart, ShardCountReading } from "@shardcast/control";
import type { MayPublish } from "@shardcast/http";
import { type BoardRow, type HealthReport, healthReport, type RowSnapshot, type Scoreboard } from "@shardcast/scoreboard";
import type { BusyChannel } from "./channel-activity.ts";

/** A summary of Kafka ingest; absent when no broker is configured. */
interface ConsoleKafka {
	readonly status: string;
	readonly reason?: string;
	/** Records read: in per-shard mode those of the shard that has read most, since each reads all. */
	readonly records: number;
	readonly lag: number;
	readonly pauses: number;
	readonly pausedSeconds: number;
	readonly errors: number;
}

export interface ConsoleChannel extends BusyChannel {
	readonly subscribers: number;
	/** Number of clients in presence. */
	readonly present: number;
	/** Offset of its last publication, and number of publications kept; null = no history. */
	readonly history: HistorySummary | null;
}

/** What the console gets once a second. Counters are totals; the page computes rates. */
export interface ConsoleSnapshot {
	readonly type: "snapshot";
	/** Milliseconds since 1970, for clocks on the page. */
	readonly at: number;
	/** For differences between snapshots. */
	readonly monotonicMs: number;
	readonly cluster: Omit<HealthReport, "shards" | "balancer" | "node"> & {
		readonly version: string;
		readonly node: string;
		readonly uptimeSeconds: number;
	};
	readonly shards: readonly (HealthReport["shards"][number] & { readonly counters: RowSnapshot["counters"] })[];
	readonly balancer: HealthReport["balancer"] & { readonly counters: Readonly<Record<string, number>> };
	/** Time from publish to send, over all shards: upper bounds in ms (null = no bound), and number of deliveries in each bucket. */
	readonly latency: { readonly uppersMs: readonly (number | null)[]; readonly counts: readonly number[] };
	readonly rings: readonly { readonly name: string; readonly depthBytes: number; readonly capacityBytes: number }[];
	readonly kafka: ConsoleKafka | null;
	readonly events: readonly ClusterEvent[];
	readonly channels: readonly ConsoleChannel[];
	/** Null where this machine works alone. */
	readonly nodes: ClusterNodes | null;
	/** How many shards there are and should be; null where that cannot change. */
	readonly scaling: ShardCountReading | null;
}

interface SnapshotFacts {
	readonly version: string;
	readonly auth: "required" | "open";
	readonly mayPublish: MayPublish;
	readonly atMs: number;
	readonly monotonicMs: number;
	readonly channels: readonly ConsoleChannel[];
	readonly kafkaMode: "per-shard" | "shared";
	readonly events: readonly ClusterEvent[];
	readonly parts: readonly ConsolePart[];
	readonly nodes: ClusterNodes | null;
	/** Shards of other machines. */
	readonly remotes: HealthReport["remoteShards"];
	readonly scaling: ShardCountReading | null;
}

/** Reads the state of the whole cluster from the scoreboard. Any shard can do it. */
export function consoleSnapshot(board: Scoreboard, facts: SnapshotFacts): ConsoleSnapshot {
	const {
		shards,
		balancer,
		node: _,
		...cluster
	} = healthReport(board, {
		auth: facts.auth,
		mayPublish: facts.mayPublish,
		nowMs: facts.monotonicMs,
		remotes: facts.remotes ?? [],
	});
	const rows = new Map(board.rows().map((row) => [row.slot, row]));
	const snapshots = new Map([...rows].map(([slot, row]) => [slot, row.snapshot()]));
	const started = [...snapshots.values()].map(({ counters }) => counters.startedMs).filter((ms) => ms > 0);
	return {
		type: "snapshot",
		at: facts.atMs,
		monotonicMs: facts.monotonicMs,
		cluster: {
			...cluster,
			version: facts.version,
			node: process.versions.node,
			uptimeSeconds: started.length === 0 ? 0 : Math.max(0, (facts.monotonicMs - Math.min(...started)) / 1000),
		},
		shards: shards.map((shard) => ({ ...shard, counters: snapshots.get(shard.id)!.counters })),
		balancer: { ...balancer, counters: board.balancer.snapshot().counters },
		latency: latencyOf([...rows.values()]),
		rings: [
			...[...snapshots.values()].map(({ slot, counters }) => ring(`bus ${slot}`, counters.busDepthBytes, counters.ringBytes)),
			...facts.parts.flatMap(({ slot, kafka }) => (kafka === null ? [] : [ring(`ingest ${slot}`, kafka.ringDepthBytes, kafka.ringBytes)])),
		],
		kafka: kafkaOf(shards, facts),
		events: facts.events,
		channels: facts.channels,
		nodes: facts.nodes,
		scaling: facts.scaling,
	};
}

/** Combines the rows' cumulative histograms into one with plain buckets. */
function latencyOf(rows: readonly BoardRow[]): ConsoleSnapshot["latency"] {
	const readings = rows.map((row) => row.histograms.publishToSendMs.read());
	const bounds = readings[0]?.bounds ?? [];
	const cumulated = [
		...bounds.map((_, index) => readings.reduce((sum, { counts }) => sum + counts[index]!, 0)),
		readings.reduce((sum, { count }) => sum + count, 0),
	];
	return { uppersMs: [...bounds, null], counts: cumulated.map((count, index) => count - (index === 0 ? 0 : cumulated[index - 1]!)) };
}

/** In per-shard mode each shard reads every record, so the highest count and lag are shown; in shared mode the sums. */
function kafkaOf(shards: HealthReport["shards"], { parts, kafkaMode }: SnapshotFacts): ConsoleKafka | null {
	const readers = parts.flatMap(({ kafka }) => kafka ?? []);
	if (readers.length === 0) return null;
	const all = kafkaMode === "shared" ? sum : (values: readonly number[]) => Math.max(...values);
	const reason = shards.map((shard) => shard.reason).find((why) => why !== undefined && /kafka/i.test(why));
	return {
		status: `${kafkaMode}, ${readers.length} ${readers.length === 1 ? "shard reads" : "shards read"}`,
		...(reason === undefined ? {} : { reason }),
		records: all(readers.map(({ records }) => records)),
		lag: all(readers.map(({ lag }) => lag)),
		pauses: sum(readers.map(({ pauses }) => pauses)),
		pausedSeconds: sum(readers.map(({ pausedMs }) => pausedMs)) / 1000,
		errors: sum(readers.map(({ errors }) => errors)),
	};
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function ring(name: string, depthBytes: number, capacityBytes: number): ConsoleSnapshot["rings"][number] {
	return { name, depthBytes, capacityBytes: Math.max(1, capacityBytes) };
}
