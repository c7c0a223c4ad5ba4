import { answerMetrics, metricsQuestion, Questions } from "@shardcast/control";
import {
	BalancerMode,
	type BoardReading,
	balancerCounters,
	balancerModes,
	boardMetrics,
	ClusterState,
	clusterStates,
	memberStates,
	Role,
	readBoard,
	Scoreboard,
	ShardState,
	shardCounters,
	shardHistograms,
} from "@shardcast/scoreboard";
import { ProcessMetrics } from "@shardcast/telemetry";
import { describe, expect, it } from "vitest";

// The tables of @shardcast/service name the scoreboard's counters by string, since that package knows nothing of the bus.
// Here the two are held against each other.

function boardOfTwo(): Scoreboard {
	const board = Scoreboard.inMemory(2);
	board.clusterState = ClusterState.serving;
	board.balancer.state = ShardState.serving;
	board.balancer.mode = BalancerMode.handoff;
	for (const slot of [0, 1]) {
		board.row(slot).role = Role.shard;
		board.row(slot).state = ShardState.serving;
	}
	const guard = { sinceMs: 0, value: 50, threshold: 75, times: 0 };
	for (const guards of [board.guards, board.row(0).guards, board.row(1).guards]) guards.write(1, new Map([["cpu", guard]]));
	return board;
}

describe("metrics of the scoreboard", () => {
	it("every value is a number for an empty and for a running cluster: no table names a counter that there is not", () => {
		for (const reading of [readBoard(Scoreboard.inMemory(1)), readBoard(boardOfTwo())])
			for (const metric of boardMetrics)
				for (const { value } of metric.sample(reading))
					expect(typeof value === "number" ? value : value.sum, metric.name).toEqual(expect.any(Number));
	});

	it("every sample carries the labels that its table promises, and each set of labels once", () => {
		const reading = readBoard(boardOfTwo());
		for (const metric of boardMetrics) {
			const samples = [...metric.sample(reading)].map(({ labels }) => labels);
			for (const labels of samples) expect(Object.keys(labels).sort(), metric.name).toEqual([...metric.labels].sort());
			expect(new Set(samples.map((labels) => JSON.stringify(labels))).size, metric.name).toBe(samples.length);
			expect(samples.length, metric.name).toBeGreaterThan(0);
		}
	});

	it("every counter and histogram of the scoreboard is exported", () => {
		const read = new Set<string>();
		const watched = <T extends object>(target: T): T =>
			new Proxy(target, {
				get: (object, name, receiver) => {
					read.add(String(name));
					return Reflect.get(object, name, receiver);
				},
			});
		const reading = readBoard(boardOfTwo());
		const watching: BoardReading = {
			...reading,
			balancer: { ...reading.balancer!, counters: watched(reading.balancer!.counters) },
			shards: reading.shards.map((shard) => ({
				...shard,
				counters: watched(shard.counters),
				histograms: watched(shard.histograms),
			})),
		};
		for (const metric of boardMetrics) for (const _ of metric.sample(watching));
		const names = [...shardCounters, ...balancerCounters, ...shardHistograms].map(([name]) => name);
		expect(names.filter((name) => !read.has(name) && !elsewhere.has(name))).toEqual([]);
	});

	it("names, types and sentences follow Prometheus' conventions", () => {
		const names = boardMetrics.map(({ name }) => name);
		expect(new Set(names).size).toBe(names.length);
		for (const { name, type, help, unit } of boardMetrics) {
			expect(name).toMatch(/^(shardcast_[a-z0-9_]+|websocket_active_connections|events_processed_total)$/);
			expect(name.endsWith("_total"), name).toBe(type === "counter");
			if (unit === "seconds" || unit === "bytes") expect(name.replace(/_total$/, "").endsWith(`_${unit}`), name).toBe(true);
			expect(help, name).toMatch(/^[A-Z0-9].*\.$/);
		}
	});

	it("knows every state and mode of the scoreboard by its name", () => {
		expect([...memberStates]).toEqual(Object.keys(ShardState));
		expect([...clusterStates]).toEqual(Object.keys(ClusterState));
		expect([...balancerModes]).toEqual(Object.keys(BalancerMode));
	});

	it("one answer has every shard's values, with its label, and they are the scoreboard's", async () => {
		const board = boardOfTwo();
		board.row(0).add("deliveries", 40);
		board.row(1).add("deliveries", 2);
		board.row(1).add("closedSlow", 3);
		board.row(1).restarts = 1;
		board.row(0).histograms.publishToSendMs.observe(4, 40);
		const questions = new Questions({ processes: () => [] });
		answerMetrics({ questions, board: () => readBoard(board), own: new ProcessMetrics("supervisor") });
		const lines = (await questions.ask(metricsQuestion, null)).split("\n");
		expect(lines).toContain('shardcast_deliveries_total{shard="0"} 40');
		expect(lines).toContain('shardcast_deliveries_total{shard="1"} 2');
		expect(lines).toContain('shardcast_disconnects_total{shard="1",code="3008"} 3');
		expect(lines).toContain('shardcast_shard_restarts_total{shard="1"} 1');
		expect(lines).toContain('shardcast_publish_to_send_seconds_bucket{le="0.003",shard="0"} 0');
		expect(lines).toContain('shardcast_publish_to_send_seconds_bucket{le="0.005",shard="0"} 40');
		expect(lines).toContain('shardcast_publish_to_send_seconds_bucket{le="+Inf",shard="0"} 40');
		expect(lines).toContain('shardcast_publish_to_send_seconds_sum{shard="0"} 0.16');
		expect(lines).toContain('shardcast_publish_to_send_seconds_count{shard="0"} 40');
		expect(lines).toContain('shardcast_cluster_state{state="serving"} 1');
		expect(lines).toContain("# TYPE shardcast_publish_to_send_seconds histogram");
	});

	it("a cluster of one shard without a balancer has no balancer's metrics", () => {
		const board = Scoreboard.inMemory(1);
		const reading = readBoard(board);
		expect(reading.balancer).toBeNull();
		expect([...boardMetrics.find(({ name }) => name === "shardcast_balancer_accepted_total")!.sample(reading)]).toEqual([]);
	});
});

/** Counters that are in no metric, and why. */
const elsewhere = new Set<string>([
	"unused8", // nothing writes it
]);
