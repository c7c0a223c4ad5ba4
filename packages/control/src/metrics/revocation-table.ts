import { counter, gauge, type ReadMetric, single, singleBy } from "@shardcast/telemetry";
import { type RevocationKind, revocationKinds } from "../revocations/revocations.ts";

export interface RevocationReading {
	readonly count: (kind: RevocationKind) => number;
	readonly refused: number;
	readonly ended: { readonly connection: number; readonly subscription: number };
}

/** Metrics of blocked users and revoked tokens in each shard's memory, with the label `shard`. */
export const revocationMetrics: readonly ReadMetric<RevocationReading>[] = [
	gauge(
		"shardcast_revocations",
		"none",
		"Blocked users (user), revoked tokens (token), and users whose older tokens are revoked (user_tokens); at most 100,000 together.",
		singleBy("kind", ({ count }) => Object.fromEntries(revocationKinds.map((kind) => [kind, count(kind)]))),
	),
	counter(
		"shardcast_revoked_refused_total",
		"none",
		"Clients and subscriptions that were refused because their user is blocked or their token is revoked.",
		single(({ refused }) => refused),
	),
	counter(
		"shardcast_revoked_ended_total",
		"none",
		"Open connections (connection) and subscriptions (subscription) that were ended because their user was blocked or their token revoked.",
		singleBy("what", ({ ended }) => ({ ...ended })),
	),
];

/** A node's counters of the list that all nodes share, since its start. */
export interface SharedRevocationCounts {
	/** Changes sent to Redis, and read from it. */
	sent: number;
	received: number;
	/** Times that the whole list was read. */
	wholeReads: number;
	/** Times that the list could not be compared with the one in Redis. */
	failed: number;
	unreadable: number;
}

export const sharedRevocationMetrics: readonly ReadMetric<SharedRevocationCounts & { readonly pending: number }>[] = [
	counter(
		"shardcast_shared_revocations_total",
		"none",
		"Changes of the list of blocked users and revoked tokens: sent = given to Redis, received = made by other nodes, unreadable = invalid in Redis.",
		singleBy("direction", ({ sent, received, unreadable }) => ({ sent, received, unreadable })),
	),
	gauge(
		"shardcast_shared_revocations_pending",
		"none",
		"Changes of this node that wait until Redis is reached: the other nodes do not know them.",
		single(({ pending }) => pending),
	),
	counter(
		"shardcast_shared_revocations_reads_total",
		"none",
		"Reads of the list in Redis: whole = all of it, failed = Redis was not reached, or a shard did not answer.",
		singleBy("result", ({ wholeReads, failed }) => ({ whole: wholeReads, failed })),
	),
];
