import { MemoryBus, type RecordSource } from "@shardcast/bus";
import { defaultConfig, ringCapacityBytes } from "@shardcast/config";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { waitFor } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import { ShardIngest } from "../src/shard-ingest.ts";

function setup() {
	const config = defaultConfig({ kafkaBrokers: ["127.0.0.1:1"], kafkaTopics: "t" });
	const ingest = ShardIngest.create({
		config,
		slot: 0,
		incarnation: 1,
		shardsTotal: 1,
		cluster: null,
		bus: new MemoryBus({ members: 1, capacityBytes: ringCapacityBytes(config) }).link(0),
		log: silentLog(),
		row: Scoreboard.inMemory(1).row(0),
		isPaused: () => false,
	})!;
	const sources = new Set<RecordSource>();
	const loop = {
		addSource: (source: RecordSource) => void sources.add(source),
		removeSource: (source: RecordSource) => void sources.delete(source),
		committed: () => {},
		wake: () => {},
	};
	return { ingest, loop, sources };
}

const noHistory = { log: { feed: () => "known" as const }, isUsed: () => false, limitsOf: () => null };
const alone = async () => null;

describe("Kafka in a shard", () => {
	it("does not start any more when it was stopped before it had been loaded", { tags: ["long"] }, async () => {
		const { ingest, loop, sources } = setup();
		const started = ingest.start(loop, () => {}, noHistory, alone);
		await ingest.stop();
		try {
			expect(ingest.running).toBeNull();
			await started;
			expect(ingest.running).toBeNull();
			expect(sources.size).toBe(0);
		} finally {
			await ingest.running?.stop(0);
		}
	});

	it("is stopped only when a drain that has begun has ended too", async () => {
		const { ingest, loop } = setup();
		const started = ingest.start(loop, () => {}, noHistory, alone);
		await waitFor(() => ingest.running !== null, { deadlineMs: 5000, what: "Kafka to be loaded" });
		let drained = false;
		const draining = ingest.drain(100).then(() => {
			drained = true;
		});
		await ingest.stop();
		expect(drained).toBe(true);
		await draining;
		await started;
	});
});
