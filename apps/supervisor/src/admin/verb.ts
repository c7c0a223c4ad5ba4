import type { Config } from "@shardcast/config";
import type { Ask, ClusterEvent, GatewayReading, ReloadOutcome, Workers } from "@shardcast/control";
import type { HealthReport } from "@shardcast/scoreboard";
import type { FollowCpus } from "../operations/follow-cpus.ts";
import type { Operations } from "../operations/operations.ts";
import type { ArgumentsOf, ArgumentTable } from "./arguments.ts";

/**
 * The verbs of the admin interface. HOW TO ADD ONE, such as `drain <shard>`:
 *
 * 1. A file `verbs/drain.ts`, which exports one `defineVerb({ … })`:
 *    - `arguments`: a table of kinds from `arguments.ts`. A required one is a word on the command line, an optional one a flag.
 *    - `check(args)`, if some values do not go together: it throws `ArgumentError`, which is an error of the command line.
 *    - `run(args, context)`: gets the parsed values, typed. It does its work through `context.cluster` (add what it needs to `AdminCluster` below, and where
 *      `run-cluster.ts` makes one), tells steps by `context.progress("2 of 3 shards …")`, and returns a result that is sent as JSON.
 *      It throws `Refused` if the cluster does not do it, before anything has changed. If only a part was done, it calls `context.partly(why)` and returns.
 *      It stops early when `context.signal` is aborted (`shardcast cancel`, or the cluster stops), and says so by `context.partly`.
 *    - `describe(result)`: the lines for people. Commands, console and log use them, so nothing else has to know the verb.
 * 2. A line in `verbs/index.ts`. The command `shardcast drain <shard>`, its help, `--json`, the exit status, the console's form and the audit line follow from it.
 * 3. `isExclusive: true` if it must not run at the same time as another such operation: a second one is refused, and told which one runs.
 * 4. Tests: `test/admin/verbs.test.ts` runs it with a fake cluster, `test/admin/admin.cluster.test.ts` has the shared real one.
 */
export interface Verb<Table extends ArgumentTable = ArgumentTable, Result = unknown> {
	/** As on the command line, such as "log-level". */
	readonly name: string;
	/** One sentence for the help and the console. */
	readonly summary: string;
	readonly arguments: Table;
	/** It changes something: it is logged for the audit, and the console asks first. */
	readonly changes: boolean;
	/** Only one such operation runs at a time. */
	readonly isExclusive?: boolean;
	/** It runs even when there are as many operations as may be: it ends at once. */
	readonly isUrgent?: boolean;
	/** The kinds of cluster that have it. */
	readonly workers: readonly Workers[];
	/** A command line after `shardcast`, for the help. */
	readonly example: string;
	/** Looks at what fits together, before anything is begun. @throws ArgumentError that completes `<verb>: …`. */
	check?(args: ArgumentsOf<Table>): void;
	/** @throws Refused when nothing is done. Another error means that it failed, and is logged. */
	run(args: ArgumentsOf<Table>, context: VerbContext): Result | Promise<Result>;
	/** The result for people, line by line. */
	describe(result: Result): readonly string[];
}

/** What a verb gets besides its arguments. */
export interface VerbContext {
	readonly cluster: AdminCluster;
	/** Aborted when it is to stop early. */
	readonly signal: AbortSignal;
	/** Tells a step. @param data for programs. */
	progress(text: string, data?: object): void;
	/** Tells something that should be looked at; the result stays. */
	warn(text: string): void;
	/** Only a part was done. The last reason counts. */
	partly(why: string): void;
}

/** What verbs can see and do. */
export interface AdminCluster {
	readonly version: string;
	readonly command: "multi" | "gateway";
	readonly workers: Workers;
	/** Of the supervisor. */
	readonly pid: number;
	/** Milliseconds since 1970. */
	readonly startedAt: number;
	/** host:port of the balancer; null until it serves. */
	address(): string | null;
	config(): Config;
	/** It takes no more orders. */
	isStopping(): boolean;
	health(): Omit<HealthReport, "auth" | "mayPublish">;
	/** What can be done to the shards; null in a gateway. */
	readonly shards: AdminShards | null;
	/** The backends and their clients; null in a cluster of shards. Rejects while the gateway stops. */
	gateway: (() => Promise<GatewayReading>) | null;
	events(): readonly ClusterEvent[];
	/** Writes to the log, and adds an event to the console. */
	tell(level: ClusterEvent["level"], text: string): void;
	/** Operations in progress, oldest first. */
	operations(): readonly OperationSummary[];
	readonly ask: Ask;
	/** Gives all processes these options, as a reload does. @throws Error when they cannot be used; nothing has changed then. */
	setConfig(config: Config): void;
	/** What SIGHUP does. Never rejects. */
	reload(): Promise<ReloadReport>;
	/** Stops the operation in progress early. @returns which one; null = there is none. */
	cancel(): Pick<OperationSummary, "command" | "who"> | null;
}

export type ShardOperations = Pick<
	Operations,
	"drain" | "undrain" | "restart" | "rollingRestart" | "rebalance" | "scale" | "running" | "end"
>;

/** What can be done with the shards of a cluster. */
export interface AdminShards {
	readonly operations: ShardOperations;
	readonly follow: Pick<FollowCpus, "start" | "byHand" | "scaling">;
}

export interface ReloadReport {
	readonly options: ReloadOutcome;
	/** Why the old certificates stay in use; null = they do not, or there are none. */
	readonly certificates: string | null;
	/** Why the old route module stays in use; null = it does not, or there is none. */
	readonly route: string | null;
}

/** An operation, as `status` shows it. */
export interface OperationSummary {
	/** Null = no verb has begun it: it was a signal, or the cluster by itself. */
	readonly id: string | null;
	readonly verb: string;
	/** The command line, without values that are secret. */
	readonly command: string;
	readonly who: string;
	/** Milliseconds since 1970. */
	readonly startedAt: number;
	/** The last step told; "" = none yet. */
	readonly step: string;
}

/** The cluster does not do it, and nothing has changed. The message says why, and what would help. */
export class Refused extends Error {}

/** It was asked to stop early, and has: there is no result, and the message says what was done. */
export class EndedEarly extends Error {}

/** Lets the compiler find the types of a verb's arguments and result. */
export function defineVerb<Table extends ArgumentTable, Result>(verb: Verb<Table, Result>): Verb {
	return verb as unknown as Verb;
}
