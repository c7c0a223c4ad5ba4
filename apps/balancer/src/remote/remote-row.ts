import type { EdgeNode } from "@shardcast/edge/nodes";
import { ShardState } from "@shardcast/scoreboard";
import type { ShardRow } from "../pick/candidate.ts";

/** So many connections to one remote shard may be in the making; while there are more, it is not picked. */
export const dialingMax = 256;

/**
 * A remote shard as the picker sees it: what a row of the scoreboard says of a shard here, made of its last answer to /health and of the connections that
 * this balancer has made to it. What nobody tells (CPU, memory, loop lag) stays 0; `ShardLoads` puts something neutral there.
 */
export class RemoteRow implements ShardRow {
	readonly slot: number;
	readonly core = -1;
	readonly incarnation = 1;
	readonly guards = { refuses: () => false };
	readonly handoffsSent = 0;
	readonly handoffsReceived = 0;
	readonly handoffsUndone = 0;
	readonly socketsMax = Number.POSITIVE_INFINITY;
	state: ShardRow["state"] = ShardState.starting;
	connectionsMax = 0;
	/** At its last answer. */
	connections = 0;
	webSockets = 0;
	/** How many of these were through this balancer: the others came another way, and count, too. */
	proxiedSeen = 0;
	proxiedOpen = 0;
	overloads: ShardRow["overloads"] = [];
	weight = 1;
	/** Connections in the making. */
	dialing = 0;
	/** WebSockets that it received and did not serve, since the log last told of them. */
	unserved = 0;
	/** When the log last told of these. */
	unservedToldMs = Number.NEGATIVE_INFINITY;
	readonly #node: EdgeNode;
	/** Answers that have been taken up. */
	#answers = 0;

	/** @param slot a number that no shard here has. */
	constructor(slot: number, node: EdgeNode) {
		this.slot = slot;
		this.#node = node;
	}

	get remote(): EdgeNode {
		return this.#node;
	}

	get port(): number {
		return this.#node.known.port;
	}

	/** Call it before a pick. */
	look(nowMs: number): void {
		const node = this.#node;
		const { passed } = node.checks;
		if (passed !== this.#answers) {
			this.#answers = passed;
			const { connections, maxConnections } = node.selectable;
			this.connections = connections;
			this.webSockets = connections;
			this.connectionsMax = maxConnections;
			this.proxiedSeen = this.proxiedOpen;
		}
		if (node.isDraining || node.known.weight === 0) this.state = ShardState.draining;
		else if (node.isUnknown) this.state = ShardState.starting;
		else this.state = node.mayTake(nowMs) ? ShardState.serving : ShardState.dead;
	}

	/** It is asked for /health instead of having a heartbeat. */
	get(counter: Parameters<ShardRow["get"]>[0]): number {
		return counter === "heartbeatMs" ? Number.POSITIVE_INFINITY : 0;
	}
}
