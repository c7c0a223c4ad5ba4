import type { Refusal } from "./answer/refusal.ts";
import type { HeadParser } from "./head/head.ts";
import type { TargetTls } from "./tls/target-tls.ts";

/** How connections to some targets are made. */
export interface TargetLink {
	/** Null = without TLS. */
	readonly tls: TargetTls | null;
	/** With this token a shard knows its own balancer; null = the target is another machine, and must not get it. */
	readonly token: string | null;
	/** Returns what each connection begins with; null = nothing. @param address of the PROXY header, or of the connection itself. */
	readonly preface: ((address: string) => Uint8Array) | null;
	/**
	 * The target keeps the connection on its machine: it may list this one as a target, too. A connection to it ends with the first response, unless that
	 * begins a WebSocket: further requests may be for this machine.
	 */
	readonly isLastHop: boolean;
	/** Limit for connecting, with the TLS handshake, in milliseconds. */
	readonly dialMs: number;
	/** Limit for the head of the answer to a WebSocket of `isLastHop`, in milliseconds; then another target gets it. 0 = none. */
	readonly answerMs: number;
	/** A connection on which nothing passes for so long is closed; 0 = never. */
	readonly idleMs: number;
	/** Called when a connection was closed for that. */
	readonly onIdle: () => void;
}

/**
 * "unreached" = the address did not answer. Of remote shards only: "broken" = it broke a connection instead of answering its request, did not answer it in
 * time, or with something that is not HTTP.
 */
export type TargetFailure = "unreached" | "broken";

/** Where a connection may go: a shard of this machine or of another one, or a node. */
export interface Target {
	readonly host: string;
	readonly port: number;
	readonly link: TargetLink;
	/**
	 * Counts what this connection is for the target.
	 * @param connections 1 when it begins, -1 when it ends. @param lasting how many WebSockets or streams it has now, compared with before.
	 */
	count(connections: number, lasting: number): void;
	/** The connection to it has been made. */
	connected(): void;
	/** It gets no connections for a moment. */
	shun(failure: TargetFailure): void;
	/** It has not served a WebSocket that it received: it has answered that it cannot, as no shard does, or not in time. Another one gets it. */
	unserved(): void;
	/** It is there but does not respond. */
	readonly isStandingStill: boolean;
}

/** A connection that has no target. */
export interface UnplacedRequest {
	readonly head: HeadParser;
	/** Received bytes, from the head on. */
	readonly bytes: Buffer;
	/** Targets that this connection was sent to before, in vain. */
	readonly tried: readonly Target[];
}

/** A connection that needs a target. */
export interface TargetRequest extends UnplacedRequest {
	/** Address of the client. */
	address(): string;
}

/** Chooses the target of each connection: the balancer's picker of shards, or the edge's selection of nodes. */
export interface Targets {
	/** The connections of an earlier process died with it. Called once, before the first connection. */
	open(): void;
	/** Takes notice of how the targets are now. Called before each run of `pick`. */
	look(): void;
	/** The target that gets the connection, which counts for it from now on; null while none has room. */
	pick(request: TargetRequest): Target | null;
	/** Why `pick` finds no target. */
	refusal(request: UnplacedRequest, isStopping: boolean): Refusal;
	/** A target could take what another one does not answer. As of the last look. */
	readonly mayTakeBack: boolean;
	/** How long a connection waits for room before it is refused. */
	readonly waitMs: number;
	/** How long it waits while the targets that it may go to are merely delayed. */
	readonly heldUpMs: number;
	/** As of the last look. */
	areHeldUp(request: UnplacedRequest): boolean;
	/** How a target that was tried last is refused. */
	readonly unreachable: Refusal;
}
