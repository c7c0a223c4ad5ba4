import type { BoardMetric } from "@shardcast/telemetry";
import {
	counter,
	gauge,
	histogram,
	ofBalancer,
	ofBalancerBy,
	ofBalancerHistogram,
	oneOf,
	seconds,
	single,
	singleBy,
} from "@shardcast/telemetry";
import { balancerStrategies } from "../scoreboard-descriptor.ts";
import { memberStates } from "./shard-table.ts";

/** In the order of the scoreboard's `ClusterState`. */
export const clusterStates = ["starting", "serving", "stopping"] as const;
/** In the order of the scoreboard's `BalancerMode`. */
export const balancerModes = ["none", "handoff", "proxy"] as const;

/** Metrics of the balancer and of the cluster as a whole, from the scoreboard. */
export const clusterMetrics: readonly BoardMetric[] = [
	// Balancer.
	counter(
		"shardcast_balancer_accepted_total",
		"connections",
		"Connections that the balancer accepted.",
		ofBalancer(({ counters }) => counters.accepted),
	),
	counter(
		"shardcast_balancer_connections_total",
		"connections",
		"Accepted connections by outcome; lost = they ended with the balancer's process; left_to_successor = they waited while it was replaced, and are accepted once more.",
		ofBalancerBy("outcome", ({ counters }) => ({
			handed_off: counters.handedOff,
			proxied: counters.proxied,
			answered: counters.answered,
			refused_busy: counters.refusedBusy,
			refused_bad_request: counters.refusedBadRequest,
			refused_head_timeout: counters.refusedHeadTimeout,
			refused_head_too_long: counters.refusedHeadTooLong,
			refused_forbidden: counters.refusedForbidden,
			refused_rate: counters.refusedRate,
			refused_rate_per_ip: counters.refusedRatePerIp,
			refused_proxy_header: counters.refusedProxyHeader,
			refused_overloaded: counters.refusedOverloaded,
			closed_early: counters.closedEarly,
			send_error: counters.sendErrors,
			lost: counters.lost,
			left_to_successor: counters.leftToSuccessor,
		})),
	),
	gauge(
		"shardcast_balancer_pending",
		"connections",
		"Connections that are accepted, but not yet passed on or answered.",
		ofBalancer(({ pending }) => pending),
	),
	gauge(
		"shardcast_balancer_mode",
		"none",
		"1 for the balancer's current data path (handoff or proxy), 0 for the other.",
		ofBalancerBy("mode", ({ mode }) => oneOf(balancerModes, mode)),
	),
	gauge(
		"shardcast_balancer_strategy",
		"none",
		"1 for the strategy by which the balancer chooses shards (--lb-strategy), 0 for the others.",
		ofBalancerBy("strategy", ({ strategy }) => oneOf(balancerStrategies, strategy)),
	),
	counter(
		"shardcast_balancer_affinity_total",
		"connections",
		"Connections placed while --lb-affinity is on: kept = on the shard of their id, moved = on another one, because that shard was full, draining, down, overloaded or above 1.25 times its share, unknown = without an id in the request.",
		ofBalancerBy("outcome", ({ counters }) => ({
			kept: counters.affinityKept,
			moved: counters.affinityMoved,
			unknown: counters.affinityUnknown,
		})),
	),
	histogram(
		"shardcast_handoff_seconds",
		"seconds",
		"Time from accepting a connection to handing it to a shard, including the wait for its request head.",
		ofBalancerHistogram("handoffMs", seconds),
	),
	counter(
		"shardcast_handoff_retries_total",
		"none",
		"Batches of connections that were sent again because a shard's handoff socket was full.",
		ofBalancer(({ counters }) => counters.sendRetries),
	),
	counter(
		"shardcast_handoffs_taken_back_total",
		"connections",
		"Connections that the balancer took back from a shard that did not respond or was down, or from a remote shard that answered a WebSocket with a status such as 503 or 404, not in time or not in HTTP; when another shard gets them, they count as handed off or proxied again.",
		ofBalancer(({ counters }) => counters.takenBack),
	),
	counter(
		"shardcast_balancer_errors_total",
		"none",
		"Connections that could not be accepted (no descriptors or memory), and failed connections to a shard (proxy mode).",
		ofBalancerBy("kind", ({ counters }) => ({ accept: counters.acceptErrors, dial: counters.dialErrors })),
	),
	counter(
		"shardcast_balancer_restarts_total",
		"none",
		"Times that the balancer was restarted after it died or hung.",
		ofBalancer(({ restarts }) => restarts),
	),
	gauge(
		"shardcast_balancer_state",
		"none",
		"1 for the balancer's current state, 0 for the others.",
		ofBalancerBy("state", ({ state }) => oneOf(memberStates, state)),
	),
	gauge(
		"shardcast_balancer_heartbeat_age_seconds",
		"seconds",
		"Time since the balancer's last heartbeat.",
		ofBalancer(({ counters }, { nowMs }) => seconds(Math.max(0, nowMs - counters.heartbeatMs))),
	),
	counter(
		"shardcast_balancer_cpu_seconds_total",
		"seconds",
		"User and system CPU time of the balancer's process.",
		ofBalancer(({ counters }) => seconds(counters.cpuMs)),
	),
	gauge(
		"shardcast_balancer_resident_bytes",
		"bytes",
		"Resident memory of the balancer's process.",
		ofBalancer(({ counters }) => counters.residentBytes),
	),
	gauge(
		"shardcast_balancer_loop_lag_p99_seconds",
		"seconds",
		"Delay of the balancer's event loop, 99th percentile of the last second.",
		ofBalancer(({ counters }) => seconds(counters.loopLagP99Ms)),
	),
	// Cluster.
	gauge(
		"shardcast_cluster_state",
		"none",
		"1 for the cluster's current state, 0 for the others.",
		singleBy("state", ({ clusterState }) => oneOf(clusterStates, clusterState)),
	),
	gauge(
		"shardcast_shards",
		"none",
		"Number of shards of the cluster, running or not.",
		single(({ shards }) => shards.length),
	),
];
