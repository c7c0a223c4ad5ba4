import { type BoardRow, requestAllowance } from "@shardcast/scoreboard";
import type { Candidate as SelectionCandidate } from "@shardcast/selection";

/** The part of a scoreboard row that picking needs; `BoardRow` implements it. */
export type ShardRow = Pick<
	BoardRow,
	| "slot"
	| "core"
	| "state"
	| "incarnation"
	| "port"
	| "connections"
	| "webSockets"
	| "connectionsMax"
	| "socketsMax"
	| "handoffsSent"
	| "handoffsReceived"
	| "handoffsUndone"
	| "proxiedOpen"
	| "proxiedSeen"
	| "weight"
	| "overloads"
	| "get"
> & {
	readonly guards: Pick<BoardRow["guards"], "refuses">;
	/** Where a shard of another machine is, and its weight; absent = it is one of this machine. */
	readonly remote?: { readonly id: string; readonly known: { readonly host: string; readonly weight: number }; readonly isLost: boolean };
	/** So many connections to a remote shard are in the making. */
	readonly dialing?: number;
};

/** A shard as the balancer sees it: its row, and what only the balancer knows. One object per slot while the slot is a member. */
export interface Candidate extends SelectionCandidate {
	readonly row: ShardRow;
	/** Of the slot, or of a remote shard's address, so a restarted shard gets the clients of the same ids again. */
	readonly id: string;
	weight: number;
	/** Including those in flight: as of the last look, plus those picked since. */
	connections: number;
	maxConnections: number;
	/** CPU time in use, as part of what it can get; 0 until it is known. This and the next two are as of the last measurement. */
	cpu: number;
	memory: number;
	loopLagMs: number;
	/** The pid of the process that the fields below describe. */
	incarnation: number;
	/** Connections given to it that its row does not show (handoff: not sent yet; proxy: open through this balancer). */
	own: number;
	/** How many of these are to become WebSockets. */
	ownUpgrades: number;
	/** WebSockets assigned to it recently, which it may not have counted yet: in the current period, and in the previous one. */
	young: number;
	youngBefore: number;
	/** Not picked before this time, because its socket or port did not answer. */
	shunnedUntilMs: number;
	/** How many connections hold, or may yet hold, the slot of a WebSocket. `maxConnections` bounds this. */
	taken: number;
	/** Bounds `connections`: its open files allow no more of any kind. */
	socketsMax: number;
	serving: boolean;
	/** It serves but has no recent heartbeat, so it is not picked. */
	silent: boolean;
	/** One of its guards acts: clients go to others. */
	guarded: boolean;
}

export function newCandidate(row: ShardRow): Candidate {
	const load = { connections: 0, maxConnections: 0, cpu: 0, memory: 0, loopLagMs: 0, taken: 0, socketsMax: 0 };
	const unknown = { shunnedUntilMs: 0, serving: false, silent: false, guarded: false };
	return {
		row,
		id: row.remote?.id ?? String(row.slot),
		weight: 1,
		...load,
		incarnation: -1,
		own: 0,
		ownUpgrades: 0,
		young: 0,
		youngBefore: 0,
		...unknown,
	};
}

/** A shard is full when its WebSockets and the connections that may become WebSockets reach its limit. Any other request takes no slot. */
export function isFull({ connections, taken, maxConnections, socketsMax }: Candidate, isLasting: boolean): boolean {
	return connections >= socketsMax || (isLasting ? taken >= maxConnections : connections >= maxConnections + requestAllowance);
}

/** Connections that are in the shard's socket or lost: sent to it, and neither received nor taken back. */
export function inFlight({ handoffsSent, handoffsReceived, handoffsUndone }: ShardRow): number {
	return (handoffsSent - handoffsReceived - handoffsUndone) | 0;
}

/**
 * For handoff. Connections in flight are read before those that have arrived, so that a connection that arrives in between is counted twice
 * rather than not at all. Only the shard knows what an arrived connection is, so recent ones count as not yet WebSockets.
 */
export function measureHandoff(candidate: Candidate): void {
	const { row, own, young, youngBefore } = candidate;
	const underWay = Math.max(0, inFlight(row)) + own;
	candidate.connections = row.connections + underWay;
	candidate.taken = Math.min(candidate.connections, row.webSockets + underWay + young + youngBefore);
}

/**
 * For proxy. The balancer counts the connections that it carries; the others are WebSockets that came directly to the shard's own port, or another way to a
 * remote shard.
 */
export function measureProxy(candidate: Candidate): void {
	const { row, own, ownUpgrades } = candidate;
	const direct = Math.max(0, row.webSockets - row.proxiedSeen);
	candidate.connections = direct + own;
	candidate.taken = direct + ownUpgrades;
}
