import { counter, gauge, perThing, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

interface EdgeNodeReading {
	readonly id: string;
	readonly isUp: boolean;
	/** Connections through this edge. */
	readonly open: number;
	readonly assigned: Readonly<Record<"connected" | "failed", number>>;
	readonly checks: Readonly<Record<"passed" | "failed", number>>;
}

/** An edge's counters since its start. */
interface EdgeReading {
	/** Connections by outcome, named as the balancer's counters; those that are missing are 0. */
	readonly counts: Readonly<Record<string, number>>;
	readonly pending: number;
	readonly idleClosed: number;
	readonly nodes: readonly EdgeNodeReading[];
}

const { each, eachBy } = perThing(
	"node",
	({ nodes }: EdgeReading) => nodes,
	({ id }) => id,
);

export const edgeMetrics: readonly ReadMetric<EdgeReading>[] = [
	counter(
		"shardcast_edge_accepted_total",
		"connections",
		"Connections that the edge accepted.",
		single(({ counts: { accepted = 0 } }) => accepted),
	),
	counter(
		"shardcast_edge_connections_total",
		"connections",
		"Accepted connections by outcome; answered = requests for the edge's own /health, /ready and /metrics.",
		singleBy("outcome", ({ counts }) => ({
			proxied: counts.proxied ?? 0,
			answered: counts.answered ?? 0,
			refused_busy: counts.refusedBusy ?? 0,
			refused_bad_request: counts.refusedBadRequest ?? 0,
			refused_head_timeout: counts.refusedHeadTimeout ?? 0,
			refused_head_too_long: counts.refusedHeadTooLong ?? 0,
			refused_proxy_header: counts.refusedProxyHeader ?? 0,
			closed_early: counts.closedEarly ?? 0,
		})),
	),
	counter(
		"shardcast_edge_accept_errors_total",
		"none",
		"Connections that could not be accepted for lack of open files or memory.",
		single(({ counts: { acceptErrors = 0 } }) => acceptErrors),
	),
	counter(
		"shardcast_edge_taken_back_total",
		"connections",
		"WebSockets that a node had not answered when it was found to hang, to be given to another.",
		single(({ counts: { takenBack = 0 } }) => takenBack),
	),
	counter(
		"shardcast_edge_assignments_total",
		"connections",
		"Connections assigned to a node, by result; failed = it could not be reached, and another node was tried.",
		eachBy("result", ({ assigned }) => assigned),
	),
	gauge(
		"shardcast_edge_open_connections",
		"connections",
		"Connections that a node has through this edge.",
		each(({ open }) => open),
	),
	gauge(
		"shardcast_edge_node_up",
		"none",
		"1 for a node that gets new clients, 0 for one that does not.",
		each(({ isUp }) => (isUp ? 1 : 0)),
	),
	counter(
		"shardcast_edge_checks_total",
		"none",
		"Requests for a node's /health, by result.",
		eachBy("result", ({ checks }) => checks),
	),
	counter(
		"shardcast_edge_idle_closed_total",
		"connections",
		"Connections closed because nothing passed for --edge-idle-timeout.",
		single(({ idleClosed }) => idleClosed),
	),
	gauge(
		"shardcast_edge_pending",
		"connections",
		"Connections that are accepted, but not yet passed on or answered.",
		single(({ pending }) => pending),
	),
];
