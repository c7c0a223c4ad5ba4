import type { Certificate, Config } from "@shardcast/config";
import type { Reply } from "./asking/pending-replies.ts";

/** A backend of a gateway, and which of its processes is connected to it. */
export interface BackendPlace {
	readonly id: number;
	readonly host: string;
	readonly port: number;
	/** host:port. */
	readonly address: string;
	/** For people; "" = none. */
	readonly name: string;
	/** Where it is known from. */
	readonly origins: readonly ("static" | "discovered")[];
	/** The slot of the process that has the TCP connections to it. */
	readonly owner: number;
}

/** What the processes behind the balancer are. A cluster has one kind. */
export type Workers = "shard" | "gateway";

/** The start parameters of a child. Sent once, right after the fork. */
export interface StartMessage {
	readonly type: "start";
	/** A process of a gateway has the role of a shard, too. */
	readonly role: "shard" | "balancer";
	readonly workers: Workers;
	readonly slot: number;
	/** Number of starts of this slot, from 1. */
	readonly incarnation: number;
	/** The CPU to which it is pinned; null = not pinned. */
	readonly core: number | null;
	/** Path of the cluster directory. */
	readonly cluster: string;
	readonly config: Config;
	/** Certificates for TLS; the first is for clients without a known server name. Empty = no TLS. */
	readonly certificates: readonly Certificate[];
	readonly mode: "handoff" | "proxy";
	readonly shardsTotal: number;
	/**
	 * Descriptors, in this child, of the receiving ends of handoff sockets: a shard has its own, the balancer has all, by slot. Empty in proxy
	 * mode.
	 */
	readonly handoffDescriptors: readonly number[];
	/** The balancer's listening socket, which the supervisor has opened, so that it outlives this child; null = the child opens its own. */
	readonly listenDescriptor: number | null;
	/** In the balancer: the receiving end of the socket in which its predecessor has left connections; null = there is none. */
	readonly leftDescriptor: number | null;
	/** This child's share of `--max-connections`. */
	readonly connectionsMax: number;
	/** The backends of a gateway; none in a cluster of shards. */
	readonly backends: readonly BackendPlace[];
}

/** Supervisor to child. Never carries payloads. */
export type ToChild =
	| StartMessage
	/**
	 * Finish accepted work, for at most `deadlineMs` from now.
	 * @param immediate close the clients first, all at once. @param replaced another process takes its place at once.
	 */
	| { readonly type: "drain"; readonly deadlineMs: number; readonly immediate?: boolean; readonly replaced?: boolean }
	/** Apply these options. Those that cannot change while a process runs are as at its start. */
	| { readonly type: "config"; readonly config: Config }
	/** For a child that still starts, with others in its start message: use these certificates for new connections. One that serves is asked. */
	| { readonly type: "certificates"; readonly certificates: readonly Certificate[] }
	/** Load the module of `--kafka-route` again. It was checked before. */
	| { readonly type: "reloadRoute" }
	/** These are the backends of the gateway now. */
	| { readonly type: "backends"; readonly backends: readonly BackendPlace[] }
	/** Members have changed: read the scoreboard. */
	| { readonly type: "membership" }
	/** Give this process's part of the answer to a question (`PartAnswers`); answered by `reply`. */
	| { readonly type: "request"; readonly id: number; readonly question: string; readonly request: unknown }
	/** The answer to the child's `ask`. */
	| { readonly type: "answer"; readonly id: number; readonly reply: Reply };

/** Child to supervisor. */
export type FromChild =
	/** Its program is loaded, and it waits for its start message. */
	| { readonly type: "loaded" }
	/** It serves. @param version of the program that it runs. */
	| { readonly type: "ready"; readonly port?: number; readonly version?: string }
	/** The child cannot start, and exits with `exitStatus`. */
	| { readonly type: "fatal"; readonly message: string; readonly flag?: string; readonly exitStatus: number }
	/** New options, or a new route module, could not be applied. The child keeps the old ones. */
	| { readonly type: "notReloaded"; readonly message: string }
	/** The child has finished all work except `cutOff` items, and exits. */
	| { readonly type: "drained"; readonly cutOff: number; readonly detail?: string }
	/** The reply to the supervisor's `request`. */
	| { readonly type: "reply"; readonly id: number; readonly reply: Reply }
	/** Put a question to all processes (`Questions`); answered by `answer`. */
	| { readonly type: "ask"; readonly id: number; readonly question: string; readonly request: unknown };
