import type { Config } from "@shardcast/config";

/** What a child needs to know to begin. Sent once, right after the fork. */
export interface StartMessage {
	readonly type: "start";
	readonly role: "shard" | "balancer";
	readonly slot: number;
	/** Counts the starts of this slot, from 1. */
	readonly incarnation: number;
	/** The CPU that it is pinned to; null = not pinned. */
	readonly core: number | null;
	/** Path of the cluster directory. */
	readonly cluster: string;
	readonly config: Config;
	readonly mode: "handoff" | "proxy";
	readonly shardsTotal: number;
	/**
	 * The open descriptors, in this child, of the ends of the handoff sockets from which connections are taken: a shard has its own, the
	 * balancer all, by slot. None in proxy mode.
	 */
	readonly handoffDescriptors: readonly number[];
	/** This child's share of `--max-connections`. */
	readonly connectionsMax: number;
}

/** What the supervisor asks a child for: its own part. */
export type PartQuestion =
	| { readonly what: "metrics" }
	/** Answered by a `ConsolePart`. */
	| { readonly what: "console"; readonly channels: readonly string[] };

/** What a child asks the supervisor for: what is put together from all processes. */
export type WholeQuestion =
	| { readonly what: "metrics" }
	/** Answered by a `ConsoleAnswer`. */
	| { readonly what: "console"; readonly channels: readonly string[] };

/** Something that people should know of, as the console lists it. */
export interface ClusterEvent {
	/** Milliseconds since 1970. */
	readonly at: number;
	readonly level: "info" | "warn" | "bad";
	readonly text: string;
}

/** One shard's Kafka ingest at a glance. Counts since its process began. */
export interface KafkaGlance {
	readonly records: number;
	/** Records that are in its partitions and not yet with its clients. */
	readonly lag: number;
	readonly pauses: number;
	readonly pausedMs: number;
	/** Troubles and records that were not delivered, of any kind. */
	readonly errors: number;
	readonly ringDepthBytes: number;
	readonly ringBytes: number;
}

/** What one shard knows for the console. */
export interface ConsolePart {
	readonly slot: number;
	/** For each channel of the question, how many clients of this shard get its messages; "" = messages to everybody. */
	readonly subscribers: readonly number[];
	/** Null = it reads no Kafka. */
	readonly kafka: KafkaGlance | null;
}

export interface ConsoleAnswer {
	readonly events: readonly ClusterEvent[];
	/** Of all shards that answered in time. */
	readonly parts: readonly ConsolePart[];
}

/** Supervisor to child. Payloads never go this way. */
export type ToChild =
	| StartMessage
	/** Work off what is there, for at most `deadlineMs` from now. */
	| { readonly type: "drain"; readonly deadlineMs: number }
	/** These settings hold from now on; those that can't change while a process runs are as they were at its start. */
	| { readonly type: "config"; readonly config: Config }
	/** Load the module of `--kafka-route` again; it has been checked. */
	| { readonly type: "reloadRoute" }
	/** The table of members has changed: look at the scoreboard. */
	| { readonly type: "membership" }
	/** Give your own part: answered by `reply`. */
	| { readonly type: "request"; readonly id: number; readonly question: PartQuestion }
	/** To the child's `ask`. */
	| { readonly type: "answer"; readonly id: number; readonly data: unknown };

/** Child to supervisor. */
export type FromChild =
	| { readonly type: "ready"; readonly port?: number }
	/** It cannot start; it exits with `exitStatus` right after. */
	| { readonly type: "fatal"; readonly message: string; readonly flag?: string; readonly exitStatus: number }
	/** It has worked off everything but `cutOff` things and exits right after. */
	| { readonly type: "drained"; readonly cutOff: number; readonly detail?: string }
	| { readonly type: "reply"; readonly id: number; readonly data: unknown }
	/** Give me what only you can put together, of all processes: answered by `answer`. */
	| { readonly type: "ask"; readonly id: number; readonly question: WholeQuestion };
