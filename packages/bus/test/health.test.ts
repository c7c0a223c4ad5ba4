import {
	BalancerMode,
	ClusterState,
	type HealthReport,
	healthReport,
	Role,
	readiness,
	Scoreboard,
	ShardState,
} from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";

const nowMs = 1_000_000;
const mayPublish = { http: "key", webSocket: "nobody" } as const;
const options = { nowMs, auth: "open" as const, mayPublish };

/** Two shards that serve, 100 connections each, and a balancer. */
function board(): Scoreboard {
	const made = Scoreboard.inMemory(4);
	made.clusterState = ClusterState.serving;
	for (const slot of [0, 1]) {
		const row = made.row(slot);
		row.role = Role.shard;
		row.state = ShardState.serving;
		row.pid = 100 + slot;
		row.core = slot;
		row.port = 3002 + slot;
		row.connectionsGiven = 100;
		row.set("heartbeatMs", nowMs - 500);
	}
	made.balancer.state = ShardState.serving;
	made.balancer.pid = 99;
	made.balancer.mode = BalancerMode.handoff;
	made.balancer.set("heartbeatMs", nowMs - 500);
	return made;
}

const report = (made: Scoreboard): HealthReport => healthReport(made, options);

describe("healthReport", () => {
	it("says how the balancer chooses shards, by which weights, and which shards it avoids", () => {
		const made = board();
		made.balancer.strategy = "adaptive";
		made.balancer.affinity = "user";
		made.row(0).weight = 1;
		made.row(1).weight = 3;
		made.row(1).overloads = ["CPU", "loop lag"];
		const { placement, shards, status } = report(made);
		expect(placement).toEqual({ strategy: "adaptive", affinity: "user" });
		expect(shards[0]).not.toHaveProperty("weight");
		expect(shards[1]).toMatchObject({ weight: 3, overloaded: ["CPU", "loop lag"] });
		expect(status).toBe("healthy");
		made.balancer.release();
		expect(report(made), "without a balancer nobody chooses").not.toHaveProperty("placement");
	});

	it("a cluster that is well", () => {
		const made = board();
		made.row(0).connections = 30;
		made.row(1).connections = 31;
		made.row(1).restarts = 2;
		expect(report(made)).toEqual({
			status: "healthy",
			reasons: [],
			auth: "open",
			mode: "handoff",
			placement: { strategy: "least_connections", affinity: "none" },
			mayPublish,
			connections: 61,
			maxConnections: 200,
			utilisation: 0.305,
			draining: false,
			shards: [
				{ id: 0, pid: 100, core: 0, port: 3002, status: "healthy", connections: 30, max: 100, utilisation: 0.3, restarts: 0 },
				{ id: 1, pid: 101, core: 1, port: 3003, status: "healthy", connections: 31, max: 100, utilisation: 0.31, restarts: 2 },
			],
			balancer: { pid: 99, status: "healthy" },
		});
	});

	it("a shard over 90 % is degraded, and so is the cluster; at 90 % it is not", () => {
		const made = board();
		made.row(0).connections = 90;
		expect(report(made).status).toBe("healthy");
		made.row(0).connections = 91;
		expect(report(made).shards[0]).toMatchObject({ status: "degraded", reason: "91 % of its connections are in use", utilisation: 0.91 });
		expect(report(made)).toMatchObject({ status: "degraded", reasons: ["shard 0: 91 % of its connections are in use"] });
	});

	it("a shard that may not open enough files has the limit that they allow, and says so when it is near", () => {
		const made = board();
		made.row(0).connectionsFit = 40;
		made.row(0).connections = 36;
		expect(report(made)).toMatchObject({ status: "healthy", maxConnections: 140 });
		made.row(0).connections = 37;
		const reason = "92 % of its connections are in use; it could have 100, but not enough open files";
		expect(report(made).shards[0]).toMatchObject({ status: "degraded", max: 40, reason });
	});

	it("a cluster over 90 % says so", () => {
		const made = board();
		made.row(0).connections = 95;
		made.row(1).connections = 95;
		expect(report(made)).toMatchObject({ status: "degraded", utilisation: 0.95 });
		expect(report(made).reasons).toContain("95 % of all connections are in use");
	});

	it.each([
		["down", ShardState.dead, "unhealthy", "down, to be restarted"],
		["starting", ShardState.starting, "starting", "starting"],
		["not started", ShardState.empty, "starting", "starting"],
		["draining", ShardState.draining, "draining", "draining"],
	])("a shard that is %s while another serves: degraded, with the reason", (_, state, status, reason) => {
		const made = board();
		made.row(1).state = state;
		expect(report(made).status).toBe("degraded");
		expect(report(made).reasons).toEqual([`shard 1: ${reason}`]);
		expect(report(made).shards[1]).toMatchObject({ status, reason });
		const isMissed = state !== ShardState.draining;
		expect(readiness(made, options)).toEqual({ ready: !isMissed, reasons: isMissed ? [`shard 1: ${reason}`] : [] });
	});

	it("a shard without a heartbeat for most of a second is unhealthy, and the cluster degraded", () => {
		const made = board();
		made.row(0).set("heartbeatMs", nowMs - 800);
		expect(report(made).status).toBe("healthy");
		made.row(0).set("heartbeatMs", nowMs - 910);
		const reason = "not responding: no heartbeat for 0.9 s";
		expect(report(made).shards[0]).toMatchObject({ status: "unhealthy", reason });
		expect(report(made).status).toBe("degraded");
		expect(readiness(made, options)).toEqual({ ready: false, reasons: [`shard 0: ${reason}`] });
	});

	it("no shard serves: unhealthy", () => {
		const made = board();
		made.row(0).state = ShardState.dead;
		made.row(1).set("heartbeatMs", 0);
		expect(report(made)).toMatchObject({ status: "unhealthy" });
		expect(report(made).reasons).toContain("no shard serves");
		expect(report(Scoreboard.inMemory(2))).toMatchObject({ status: "unhealthy", utilisation: 0, mode: "none", shards: [] });
	});

	it("a balancer that is down or hung degrades the cluster; one that does not exist is none", () => {
		const made = board();
		made.balancer.state = ShardState.dead;
		expect(report(made)).toMatchObject({ status: "degraded", reasons: ["balancer: down, to be restarted"] });
		made.balancer.state = ShardState.serving;
		made.balancer.set("heartbeatMs", nowMs - 60_000);
		expect(report(made).reasons).toEqual(["balancer: not responding: no heartbeat for 60.0 s"]);
		made.balancer.state = ShardState.empty;
		expect(report(made)).toMatchObject({ status: "healthy", balancer: { status: "none" } });
	});

	it("an unpinned shard has no core", () => {
		const made = board();
		made.row(0).core = -1;
		expect(report(made).shards[0].core).toBeNull();
	});

	it("a full shard with no limit at all is not taken for a division by zero", () => {
		const made = board();
		made.row(0).connectionsGiven = 0;
		expect(report(made).shards[0]).toMatchObject({ status: "healthy", utilisation: 0 });
	});

	it("says what a shard has to add to a trouble: the name of a file, an error", () => {
		const made = board();
		made.row(0).troubles = ["kafkaRoute", "kafkaConnection"];
		made.row(0).troubleDetails = new Map([["kafkaRoute", "/srv/route.mjs:3: SyntaxError:\nUnexpected token"]]);
		const reason =
			"Kafka: a broker can't be reached; Kafka: the route module can't be loaded: /srv/route.mjs:3: SyntaxError: Unexpected token";
		expect(report(made).shards[0]).toMatchObject({ status: "degraded", reason });
		made.row(0).troubleDetails = new Map();
		expect(report(made).shards[0]!.reason).toBe("Kafka: a broker can't be reached; Kafka: the route module can't be loaded");
	});

	it("is plain JSON", () => {
		const made = report(board());
		expect(JSON.parse(JSON.stringify(made))).toEqual(made);
	});
});

describe("a shard that is drained", () => {
	it("is not missed as long as another one serves, but health names it", () => {
		const made = board();
		made.row(0).isDrained = true;
		made.row(0).state = ShardState.draining;
		expect(readiness(made, options)).toEqual({ ready: true, reasons: [] });
		expect(report(made)).toMatchObject({
			status: "degraded",
			reasons: ["shard 0: drained: it gets no new clients"],
			maxConnections: 100,
			shards: [{ status: "draining" }, { status: "healthy" }],
		});
		made.row(0).state = ShardState.dead;
		expect(readiness(made, options).ready, "while it is replaced").toBe(true);
		expect(healthReport(made, options).reasons).toEqual(["shard 0: being replaced: it gets no clients"]);
		for (const state of [ShardState.empty, ShardState.starting]) {
			made.row(0).state = state;
			expect(readiness(made, options).ready, "while it is added").toBe(true);
			expect(healthReport(made, options).reasons).toEqual(["shard 0: starting: it gets no clients yet"]);
		}
		made.row(1).state = ShardState.dead;
		expect(readiness(made, options).ready).toBe(false);
		expect(healthReport(made, options).status).toBe("unhealthy");
	});

	it("is not missed until its process has been told that it takes clients again, which is after its mark was removed", () => {
		const made = board();
		made.row(0).isDrained = false;
		made.row(0).state = ShardState.draining;
		expect(readiness(made, options)).toEqual({ ready: true, reasons: [] });
		made.row(1).state = ShardState.dead;
		expect(readiness(made, options).ready, "nobody serves").toBe(false);
	});
});

describe("readiness", () => {
	it("is there once every shard serves, busy or not", () => {
		const made = board();
		expect(readiness(made, options)).toEqual({ ready: true, reasons: [] });
		made.row(0).connections = 100;
		expect(readiness(made, options).ready).toBe(true);
	});

	it("is gone as soon as the cluster stops", () => {
		const made = board();
		made.clusterState = ClusterState.stopping;
		expect(readiness(made, options)).toEqual({ ready: false, reasons: ["the cluster is stopping"] });
		expect(report(made).reasons).toEqual(["the cluster is stopping"]);
	});

	it("is not there without shards", () => {
		expect(readiness(Scoreboard.inMemory(1), options)).toEqual({ ready: false, reasons: ["there are no shards yet"] });
	});
});
