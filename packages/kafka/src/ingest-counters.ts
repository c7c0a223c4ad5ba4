import { troubleKinds } from "./source.ts";

/** Written by the ingest worker, read by the loop at any time. Monotonic unless the description says "now". */
export const workerCounters = [
	["records", "records read from Kafka, whether delivered or not"],
	["bytes", "bytes of their values"],
	["delivered", "records handed to the event loop"],
	["tombstones", "records without a value, which are not delivered"],
	["tooLarge", "records longer than --max-payload, which are not delivered"],
	["invalidText", "records that must be text but are not valid UTF-8, which are not delivered"],
	["invalidJson", "records that are not valid JSON although --kafka-format requires it, which are not delivered"],
	[
		"badChannel",
		"records for which --kafka-channel gives no channel name (a key or header is missing, too long, or not UTF-8), which are not delivered",
	],
	["badHeader", "records of --kafka-message-topics with a header that is not valid, which are not delivered"],
	["routeSkipped", "records that the route function chose not to deliver"],
	["routeErrors", "records for which the route function threw or rejected, which are not delivered"],
	["routeInvalid", "records for which the route function returned an invalid value, which are not delivered"],
	["routeTimeouts", "records for which the route function exceeded its time limit, which are not delivered"],
	["deadLetters", "records written to --kafka-dead-letter"],
	["deadLettersLost", "records that could not be written to --kafka-dead-letter"],
	[
		"deadLettersLeft",
		"failed records left to another shard, or to the node that reads the partition, which writes them to --kafka-dead-letter",
	],
	["deadLetterCopiesDropped", "copies of such records that were dropped because there were too many: if that shard dies, they may be lost"],
	["deadLettersSeenBefore", "records that already are dead letters and are not written again"],
	["deadLettersWaiting", "dead letters that Kafka has not acknowledged yet (now)"],
	["pauses", "times that reading stopped until the event loop, or the topic for dead letters, had room again"],
	["pausedMs", "total time of these pauses"],
	["commits", "commits of offsets"],
	["committedMs", "monotonicMs() of the last commit (now)"],
	["lookedMs", "Date.now() when the topics were last listed (now)"],
	["historyReads", "reads of part of a partition for clients that had missed it"],
	["historyReadsFailed", "of these, those that failed or took too long"],
	["historyRecords", "records returned by these reads"],
	["relaySent", "answers of Kafka that were passed on to other nodes"],
	["relaySentBytes", "their bytes"],
	["relayDropped", "answers that were not passed on: Redis could not be reached, or too many bytes were waiting"],
	["relayTaken", "answers of Kafka that another node passed on, and whose records were taken"],
	["followGaps", "times that a partition was read from Kafka again because a message of the node that reads it was lost"],
	["followSilences", "the same because that node had sent nothing for three seconds, or was late"],
	["followElections", "the same because the partition has another leader"],
	["followUnreadable", "the same because a message could not be read"],
	["followed", "partitions whose records come from another node (now)"],
	["produced", "client messages written to Kafka and acknowledged"],
	["produceErrors", "client messages that Kafka did not accept"],
	...troubleKinds.map(([kind, sentence]) => [kind, `trouble: ${sentence}`] as const),
] as const;
export type WorkerCounter = (typeof workerCounters)[number][0];

/** Counted by the event loop of the shard. */
export const hostCounters = [
	["delivered", "records read from the ingest ring and delivered or put on the bus"],
	["assignments", "partitions that this shard started to read"],
	["revocations", "partitions that this shard gave to another one"],
	["workerRestarts", "times that the ingest worker was restarted, after a hung route function or a crash"],
	["publishUnanswered", "client messages that Kafka did not answer in time, or whose ingest thread died"],
	["tableBusy", "attempts to use the position table while another shard held it"],
	[
		"readerWaits",
		"checks that found a partition not ready for its new owner: some shard had not read all that the former owner put on the bus",
	],
	["busFull", "times that a record had to wait because the bus, or the log of its channel, was full or locked"],
	["logTooLarge", "records too long for their channel's history, which are not delivered"],
	["ringHighWaterBytes", "most bytes that the event loop has found in the ingest ring"],
] as const;
export type HostCounter = (typeof hostCounters)[number][0];

/** f64 cells of one partition. `delivered` is written by the loop, the others by the worker. */
export const partitionCells = [
	["delivered", "offset at which this shard continues: everything before it is delivered (now)"],
	["offered", "offset up to which records were processed (now)"],
	["logEnd", "offset of the end of the partition (now)"],
	["committed", "offset last committed (now)"],
	["records", "records taken"],
	["bytes", "bytes of their values"],
] as const;
export type PartitionCell = (typeof partitionCells)[number][0];
