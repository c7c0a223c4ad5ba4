import { troubleKinds } from "./source.ts";

/** Counted by the ingest worker; read by the loop at any time. Monotonic unless the sentence says "now". */
export const workerCounters = [
	["records", "records taken from Kafka, whatever became of them"],
	["bytes", "bytes of their values"],
	["delivered", "records handed to the event loop"],
	["tombstones", "records without a value, which are not delivered"],
	["tooLarge", "records longer than --max-payload, which are not delivered"],
	["invalidText", "records that are no valid UTF-8 though they are to go out as text, which are not delivered"],
	["invalidJson", "records that are no valid JSON though --kafka-format wants it, which are not delivered"],
	[
		"badChannel",
		"records for which --kafka-channel gives no channel name (a key or header is missing, too long, or no UTF-8), which are not delivered",
	],
	["routeSkipped", "records that the route function chose not to deliver"],
	["routeErrors", "records on which the route function threw or rejected, which are not delivered"],
	["routeInvalid", "records for which the route function returned what it may not, which are not delivered"],
	["routeTimeouts", "records on which the route function took longer than its budget, which are not delivered"],
	["deadLetters", "records written to --kafka-dead-letter"],
	["deadLettersLost", "records that could not be written to --kafka-dead-letter"],
	["deadLettersLeft", "records that another shard, which reads them as well, writes there"],
	["deadLetterCopiesDropped", "copies of those that were dropped because there were too many: if that shard dies, they may be lost"],
	["deadLettersSeenBefore", "records that were dead letters before, and are not written again"],
	["deadLettersWaiting", "records that Kafka has not acknowledged there yet (now)"],
	["pauses", "times that reading stopped because the loop, or the topic of dead letters, had not made room"],
	["pausedMs", "time that reading stood still for that"],
	["commits", "commits of offsets"],
	["committedMs", "monotonicMs() of the last commit (now)"],
	["lookedMs", "Date.now() of the last look at the topics (now)"],
	["produced", "client messages written to Kafka and acknowledged"],
	["produceErrors", "client messages that Kafka did not take"],
	...troubleKinds.map(([kind, sentence]) => [kind, `trouble: ${sentence}`] as const),
] as const;
export type WorkerCounter = (typeof workerCounters)[number][0];

/** Counted by the event loop of the shard. */
export const hostCounters = [
	["delivered", "records taken out of the ingest ring and delivered or put on the bus"],
	["assignments", "partitions that this shard began to read"],
	["revocations", "partitions that this shard gave up to another"],
	["workerRestarts", "times that the ingest worker was restarted, after a hung route function or a crash"],
	["publishUnanswered", "client messages on which Kafka did not answer in time, or whose ingest thread died"],
	["tableBusy", "looks at the position table that found another shard at it"],
	["readerWaits", "looks at partitions that could not change hands yet: some shard had not read what their former owner put on the bus"],
	["busFull", "times that a record had to wait because the bus, or the log of its channel, was full or taken"],
	["logTooLarge", "records longer than a channel's history takes, which are not delivered"],
	["ringHighWaterBytes", "most bytes that the loop has found in the ingest ring"],
] as const;
export type HostCounter = (typeof hostCounters)[number][0];

/** f64 cells of one partition. `delivered` is written by the loop, the others by the worker. */
export const partitionCells = [
	["delivered", "offset from which this shard goes on: all before it is delivered (now)"],
	["offered", "offset up to which records were looked at (now)"],
	["logEnd", "offset of the end of the partition (now)"],
	["committed", "offset last committed (now)"],
	["records", "records taken"],
	["bytes", "bytes of their values"],
] as const;
export type PartitionCell = (typeof partitionCells)[number][0];
