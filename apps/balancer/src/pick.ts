import { type BoardRow, requestAllowance, ShardState } from "@shardcast/scoreboard";
import { Heartbeat } from "@shardcast/wire";

/** The part of a scoreboard row that picking needs; `BoardRow` implements it. */
export type ShardRow = Pick<
	BoardRow,
	| "slot"
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
	| "get"
>;

/** The part of the scoreboard that picking needs. */
interface ShardTable {
	readonly membershipEpoch: number;
	rows(): ShardRow[];
}

/** A shard as the balancer sees it: its row, and what only the balancer knows. One object per slot while the slot is a member. */
export interface Candidate {
	readonly row: ShardRow;
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
	/** Its connections, including those in flight: as of the last look, plus those picked since. The shard with the fewest is picked. */
	load: number;
	/** How many of them hold, or may yet hold, the slot of a WebSocket. `max` bounds this. */
	taken: number;
	max: number;
	/** Bounds `load`: its open files allow no more connections of any kind. */
	socketsMax: number;
	serving: boolean;
	/** It serves but has no recent heartbeat, so it is not picked. */
	silent: boolean;
}

export interface PickerOptions {
	/** Sets the candidate's `load` and `taken` from its row and its `own`. */
	readonly measure: (candidate: Candidate) => void;
	/** A shard with this `Candidate.own` gets no more; Infinity = no bound. */
	readonly ownMax: number;
	readonly nowMs: () => number;
	/** What messages to clients call the processes; "shards" if not given. */
	readonly processes?: string;
}

/** How long a shard that did not answer is left alone. */
const shunMs = 100;

/** Within one to two of these periods, a shard has made a WebSocket of a connection that it received, or has not. */
const youngMs = 100;

/** The longest time that a shard with room may look full. */
export const settleMs = 2 * youngMs;

/**
 * Picks the shard with the fewest connections. `look` reads the rows once per turn, and each pick counts at once, so a burst spreads
 * evenly although the shards report later. One owner.
 *
 * A shard is full when its WebSockets and the connections that may become WebSockets reach its limit. Any other request takes no
 * slot, however long its connection is kept.
 */
export class Picker {
	readonly #table: ShardTable;
	readonly #options: PickerOptions;
	#epoch = Number.NaN;
	#candidates: Candidate[] = [];
	/** Where the next search begins, so that ties rotate. */
	#next = 0;
	#agedMs = 0;
	/** Since when at least one shard has responded at every look; NaN while none does. */
	#respondsSinceMs = Number.NaN;

	constructor(table: ShardTable, options: PickerOptions) {
		this.#table = table;
		this.#options = options;
	}

	get #someRespond(): boolean {
		return this.#candidates.some(({ serving, silent }) => serving && !silent);
	}

	/**
	 * Whether a shard could take what another one does not. True only when some shard has responded for a moment: otherwise, after a pause of the
	 * whole machine, the first shard to wake up would get everything.
	 */
	get mayTakeBack(): boolean {
		return this.#options.nowMs() - this.#respondsSinceMs >= Heartbeat.everyMs;
	}

	/** Shards serve, but none responds: they may just be delayed. As of the last look. */
	get allSilent(): boolean {
		return !this.#someRespond && this.#candidates.some(({ serving }) => serving);
	}

	get candidates(): readonly Candidate[] {
		return this.#candidates;
	}

	/** What messages to clients call the processes. */
	get processes(): string {
		return this.#options.processes ?? "shards";
	}

	/** Reads the rows. Call it at the start of a turn that picks. */
	look(): void {
		const epoch = this.#table.membershipEpoch;
		if (epoch !== this.#epoch) this.#takeUp(epoch);
		const nowMs = this.#options.nowMs();
		const ages = this.#age(nowMs);
		for (const candidate of this.#candidates) {
			const { row } = candidate;
			if (ages > 0) {
				candidate.youngBefore = ages === 1 ? candidate.young : 0;
				candidate.young = 0;
			}
			candidate.serving = row.state === ShardState.serving;
			if (!candidate.serving) continue;
			if (candidate.incarnation !== row.incarnation) this.#replaced(candidate);
			candidate.serving = candidate.shunnedUntilMs <= nowMs;
			candidate.silent = nowMs - row.get("heartbeatMs") > Heartbeat.silentMs;
			candidate.max = row.connectionsMax;
			candidate.socketsMax = row.socketsMax;
			this.#options.measure(candidate);
		}
		if (!this.#someRespond) this.#respondsSinceMs = Number.NaN;
		else if (Number.isNaN(this.#respondsSinceMs)) this.#respondsSinceMs = nowMs;
	}

	/** @param isLasting the connection is a client's WebSocket or stream. @returns the shard with the fewest connections, which now include this one; null when none has room. */
	pick(isLasting: boolean): Candidate | null {
		const candidates = this.#candidates;
		const count = candidates.length;
		let best: Candidate | null = null;
		for (let i = 0, at = this.#next; i < count; i++, at++) {
			const candidate = candidates[at < count ? at : at - count];
			if (!candidate.serving || candidate.silent || candidate.own >= this.#options.ownMax || isFull(candidate, isLasting)) continue;
			if (best === null || candidate.load < best.load) best = candidate;
		}
		this.#next = this.#next + 1 < count ? this.#next + 1 : 0;
		if (best === null) return null;
		best.load++;
		if (isLasting) {
			best.taken++;
			best.young++;
		}
		return best;
	}

	/** Reports that its socket or port did not answer. */
	shun(candidate: Candidate): void {
		candidate.shunnedUntilMs = this.#options.nowMs() + shunMs;
		candidate.serving = false;
	}

	/** How many periods have begun since the last look, 2 for more. */
	#age(nowMs: number): number {
		const periods = Math.floor((nowMs - this.#agedMs) / youngMs);
		if (periods < 1) return 0;
		this.#agedMs = periods === 1 ? this.#agedMs + youngMs : nowMs;
		return Math.min(periods, 2);
	}

	#takeUp(epoch: number): void {
		this.#epoch = epoch;
		const known = new Map(this.#candidates.map((candidate) => [candidate.row.slot, candidate]));
		this.#candidates = this.#table.rows().map((row) => known.get(row.slot) ?? newCandidate(row));
	}

	#replaced(candidate: Candidate): void {
		candidate.incarnation = candidate.row.incarnation;
		candidate.shunnedUntilMs = 0;
		candidate.young = 0;
		candidate.youngBefore = 0;
	}
}

function isFull(candidate: Candidate, isLasting: boolean): boolean {
	const { load, taken, max, socketsMax } = candidate;
	return load >= socketsMax || (isLasting ? taken >= max : load >= max + requestAllowance);
}

function newCandidate(row: ShardRow): Candidate {
	const unknown = { shunnedUntilMs: 0, load: 0, taken: 0, max: 0, socketsMax: 0, serving: false, silent: false };
	return { row, incarnation: -1, own: 0, ownUpgrades: 0, young: 0, youngBefore: 0, ...unknown };
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
	candidate.load = row.connections + underWay;
	candidate.taken = Math.min(candidate.load, row.webSockets + underWay + young + youngBefore);
}

/** For proxy. The balancer counts the connections that it carries; the others are WebSockets that came directly to the shard's own port. */
export function measureProxy(candidate: Candidate): void {
	const { row, own, ownUpgrades } = candidate;
	const direct = Math.max(0, row.webSockets - row.proxiedSeen);
	candidate.load = direct + own;
	candidate.taken = direct + ownUpgrades;
}
