import type { KafkaSummary } from "@shardcast/control";
import type { KafkaReading } from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";
import type { Ingest } from "./host/ingest.ts";
import { hostCounters, type WorkerCounter, workerCounters } from "./ingest-counters.ts";
import { troubleKinds } from "./source.ts";

/** The values for GET /metrics. Reads memory only: some microseconds per partition. */
export function kafkaReading({ memory, reader, assignment }: Pick<Ingest, "memory" | "reader" | "assignment">): KafkaReading {
	const assigned = new Set(assignment.assigned.map(({ row }) => row));
	return {
		nowMs: monotonicMs(),
		worker: Object.fromEntries(workerCounters.map(([name]) => [name, memory.worker.get(name)])),
		host: Object.fromEntries(hostCounters.map(([name]) => [name, memory.host.get(name)])),
		troubles: troubleKinds.map(([kind]) => kind),
		ringDepthBytes: reader.backlogBytes(),
		// A revoked partition keeps its counters, so that the sum over its topic never falls.
		partitions: assignment.known.map(({ row, topic, partition }) => ({
			topic,
			partition,
			records: memory.cell(row, "records"),
			bytes: memory.cell(row, "bytes"),
			lagRecords: assigned.has(row) ? Math.max(0, memory.cell(row, "logEnd") - memory.cell(row, "delivered")) : null,
		})),
	};
}

/** Records that were not delivered, by reason, and messages that Kafka did not accept. */
const lossCounters = [
	"tooLarge",
	"invalidText",
	"invalidJson",
	"badChannel",
	"badHeader",
	"routeErrors",
	"routeInvalid",
	"routeTimeouts",
	"deadLettersLost",
	"produceErrors",
] as const;

/** The values for the console. */
export function kafkaSummary(ingest: Pick<Ingest, "memory" | "reader" | "assignment">): KafkaSummary {
	const { memory, reader } = ingest;
	const { partitions } = kafkaReading(ingest);
	const counters: readonly WorkerCounter[] = [...lossCounters, ...troubleKinds.map(([kind]) => kind)];
	return {
		records: memory.worker.get("records"),
		lag: partitions.reduce((sum, { lagRecords }) => sum + (lagRecords ?? 0), 0),
		pauses: memory.worker.get("pauses"),
		pausedMs: memory.worker.get("pausedMs"),
		errors: counters.reduce((sum, name) => sum + memory.worker.get(name), memory.host.get("publishUnanswered")),
		ringDepthBytes: reader.backlogBytes(),
		ringBytes: memory.ring.capacityBytes,
	};
}
