import { duration, integer, offOr, percent } from "../../kinds.ts";
import { option } from "../../option.ts";

/** Section `guards`. */
export const guardOptions = {
	guardCpu: option({
		flag: "guard-cpu",
		key: "cpu",
		kind: offOr(percent()),
		default: 75,
		live: true,
		help: "CPU use, averaged over --guard-cpu-window, from which new clients are refused with 503: of the CPUs that all processes may use (quota of the container), and each shard of its CPU.",
	}),
	guardIngestCpu: option({
		flag: "guard-ingest-cpu",
		key: "ingest_cpu",
		kind: offOr(percent()),
		default: 80,
		live: true,
		help: "CPU use, averaged over --guard-cpu-window, from which reading from Kafka pauses; records wait in Kafka.",
	}),
	guardCpuWindowMs: option({
		flag: "guard-cpu-window",
		key: "cpu_window",
		kind: duration({ minMs: 2000, maxMs: 600_000 }),
		default: 30_000,
		live: true,
		help: "Time over which CPU use is averaged, so that a burst of new clients is no reason to refuse them.",
	}),
	guardMemory: option({
		flag: "guard-memory",
		key: "memory",
		kind: offOr(percent()),
		default: 90,
		live: true,
		help: "Memory use, of the container's limit or else of the machine, from which new clients are refused with 503; caches of files do not count.",
	}),
	guardIngestMemory: option({
		flag: "guard-ingest-memory",
		key: "ingest_memory",
		kind: offOr(percent()),
		default: 95,
		live: true,
		help: "Memory use, of the container's limit or else of the machine, from which reading from Kafka pauses.",
	}),
	guardLoopLagMs: option({
		flag: "guard-loop-lag",
		key: "loop_lag",
		kind: offOr(duration({ minMs: 10, maxMs: 60_000, zero: true })),
		default: 1000,
		live: true,
		help: "Delay of a shard's event loop (99th percentile of each second) from which, after five such seconds in a row, the shard gets no new clients.",
	}),
	guardDescriptors: option({
		flag: "guard-descriptors",
		key: "descriptors",
		kind: offOr(integer({ min: 0, max: 100_000 })),
		default: 64,
		live: true,
		help: "A shard with fewer free descriptors (of its limit of open files) gets no new clients.",
	}),
	guardSharedMemory: option({
		flag: "guard-shared-memory",
		key: "shared_memory",
		kind: offOr(percent()),
		default: 95,
		live: true,
		help: "How much of the room that this cluster leaves in /dev/shm others may use before new clients are refused with 503.",
	}),
	guardHoldMs: option({
		flag: "guard-hold",
		key: "hold",
		kind: duration({ minMs: 1000, maxMs: 600_000 }),
		default: 10_000,
		live: true,
		help: "How long the value must stay below the threshold, by a margin, before a guard stops to act; so it acts at least this long.",
	}),
} as const;
