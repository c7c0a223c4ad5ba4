import type { BoardMetric, BoardReading } from "@shardcast/telemetry";
import { counter, gauge, perShard, perShardBy } from "@shardcast/telemetry";
import { commandCounters, errorCounters } from "../command-counters.ts";

type Names = Readonly<Record<string, string>>;
const counted = (names: Names) => (shard: BoardReading["shards"][number]) =>
	Object.fromEntries(Object.entries(names).map(([label, name]) => [label, shard.counters[name]!]));

/** Metrics of clients of the Centrifuge protocol. */
export const channelMetrics: readonly BoardMetric[] = [
	gauge(
		"shardcast_subscriptions",
		"none",
		"Subscriptions of clients that speak the Centrifuge protocol, by encoding.",
		perShardBy("protocol", ({ counters }) => ({
			json: Math.max(0, counters.subscriptions! - counters.subscriptionsProtobuf!),
			protobuf: counters.subscriptionsProtobuf!,
		})),
	),
	counter(
		"shardcast_commands_total",
		"none",
		"Commands of such clients, by method: publish = their publications, history = reads of a history, presence and presenceStats = requests for the subscribers of a channel.",
		perShardBy("method", counted(commandCounters)),
	),
	counter(
		"shardcast_subscribe_errors_total",
		"none",
		"Subscribe commands that were answered with an error, by its code, such as 103 = not allowed.",
		perShardBy("code", counted(errorCounters.subscribe)),
	),
	counter(
		"shardcast_commands_over_rate_total",
		"messages",
		"Commands beyond client.rate_limit, by the limit that applied: the connection's or the user's. They got error 111, unless they were unsubscribe commands.",
		perShardBy("limit", ({ counters }) => ({ client: counters.commandsOverClientRate, user: counters.commandsOverUserRate })),
	),
	counter(
		"shardcast_command_errors_total",
		"none",
		"Other commands that were answered with an error of the protocol, by its code. Errors that your own handlers choose are not counted.",
		perShardBy("code", counted(errorCounters.other)),
	),
	counter(
		"shardcast_recoveries_total",
		"none",
		"Subscriptions of reconnected clients that requested missed publications, by result: memory, kafka = they got all of them from there, failed = some are no longer kept, or there were too many.",
		perShardBy("result", ({ counters }) => ({
			memory: counters.recoveries,
			kafka: counters.recoveriesFromKafka,
			failed: counters.recoveriesFailed,
		})),
	),
	counter(
		"shardcast_recovered_publications_total",
		"messages",
		"Missed publications that clients got after reconnecting.",
		perShard(({ counters }) => counters.recoveredPublications),
	),
	counter(
		"shardcast_durable_acknowledgements_total",
		"none",
		"Acknowledgements of consumers of durable channels.",
		perShard(({ counters }) => counters.durableAcknowledgements),
	),
	counter(
		"shardcast_durable_subscriptions_total",
		"none",
		"Subscriptions of consumers of durable channels with problems, by reason: unacknowledged = nothing was acknowledged in time, and the publications were sent again, lost = the next publication was no longer kept.",
		perShardBy("reason", ({ counters }) => ({ unacknowledged: counters.durableRedeliveries, lost: counters.durableLost })),
	),
	counter(
		"shardcast_durable_store_failures_total",
		"none",
		"Times that the durable store could not be read or written.",
		perShard(({ counters }) => counters.durableFailures),
	),
	gauge(
		"shardcast_durable_store_size_bytes",
		"bytes",
		"History in the durable store of the machine, as each shard sees it.",
		perShard(({ counters }) => counters.durableBytes),
	),
	gauge(
		"shardcast_durable_positions",
		"none",
		"Positions of consumers in the durable store of the machine, as each shard sees it.",
		perShard(({ counters }) => counters.durablePositions),
	),
	counter(
		"shardcast_emulation_frames_total",
		"none",
		"Frames from POST /emulation, which clients without a WebSocket use, by outcome: carriedOut = in the shard that has the client, passedOn = from another shard to that one, refused = the bus was too full to pass them on.",
		perShardBy("result", ({ counters }) => ({
			carriedOut: counters.framesEmulated,
			passedOn: counters.framesPassedOn,
			refused: counters.framesRefused,
		})),
	),
];
