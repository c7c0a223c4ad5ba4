import { duration, integer } from "../../kinds.ts";
import { option, withGateway } from "../../option.ts";

/** Section `shard`. */
export const shardOptions = {
	workers: option({
		flag: "workers",
		key: "workers",
		kind: integer({ min: 0, max: 256 }),
		default: 0,
		help: "Ingest worker threads per shard; 0 = as many as the shard has CPUs.",
	}),
	batch: option({
		flag: "batch",
		key: "batch",
		kind: integer({ min: 1, max: 65_536 }),
		default: 64,
		live: true,
		help: "Maximum number of events that a shard takes in one turn of its event loop.",
	}),
	ring: option({
		flag: "ring",
		key: "ring",
		kind: integer({ min: 16, max: 1_048_576 }),
		default: 2048,
		commands: withGateway,
		help: "Capacity of each shard's ring on the bus, or of each process of a gateway, in records of 1 KiB; rounded up to a power of two that holds eight of the largest messages.",
	}),
	flushMaxMs: option({
		flag: "flush-max",
		key: "flush_max",
		kind: duration({ minMs: 1, maxMs: 1000, zero: true }),
		default: 10,
		live: true,
		help: "Maximum time that a shard under load may delay a message in order to write it together with others; 0 = write each message at once.",
	}),
} as const;
