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
