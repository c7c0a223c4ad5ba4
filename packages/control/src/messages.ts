import type { Config } from "@shardcast/config";
import type { Reply } from "./questions/pending-replies.ts";

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

/** Supervisor to child. Payloads never go this way. */
export type ToChild =
	| StartMessage
	/** Work off what is there, for at most `deadlineMs` from now. */
	| { readonly type: "drain"; readonly deadlineMs: number }
	/** These options hold from now on; those that can't change while a process runs are as they were at its start. */
	| { readonly type: "config"; readonly config: Config }
	/** Load the module of `--kafka-route` again; it has been checked. */
	| { readonly type: "reloadRoute" }
	/** The table of members has changed: look at the scoreboard. */
	| { readonly type: "membership" }
	/** Give your own part of the answer to a question (`PartAnswers`): answered by `reply`. */
	| { readonly type: "request"; readonly id: number; readonly question: string; readonly request: unknown }
	/** To the child's `ask`. */
	| { readonly type: "answer"; readonly id: number; readonly reply: Reply };

/** Child to supervisor. */
export type FromChild =
	| { readonly type: "ready"; readonly port?: number }
	/** It cannot start; it exits with `exitStatus` right after. */
	| { readonly type: "fatal"; readonly message: string; readonly flag?: string; readonly exitStatus: number }
	/** New option values, or a new route module, could not be applied; it keeps its old values. */
	| { readonly type: "notReloaded"; readonly message: string }
	/** It has worked off everything but `cutOff` things and exits right after. */
	| { readonly type: "drained"; readonly cutOff: number; readonly detail?: string }
	/** To the supervisor's `request`. */
	| { readonly type: "reply"; readonly id: number; readonly reply: Reply }
	/** Put a question to all processes (`Questions`): answered by `answer`. */
	| { readonly type: "ask"; readonly id: number; readonly question: string; readonly request: unknown };
