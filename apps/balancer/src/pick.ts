import { type BoardRow, requestAllowance, ShardState } from "@shardcast/scoreboard";
import { Heartbeat } from "@shardcast/wire";

/** What picking needs of a scoreboard row; `BoardRow` fulfils it. */
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

/** What picking needs of the scoreboard. */
export interface ShardTable {
	readonly membershipEpoch: number;
	rows(): ShardRow[];
}

/** A shard as the balancer sees it: its row, and what the balancer alone knows. One object per slot for as long as the slot is a member. */
export interface Candidate {
	readonly row: ShardRow;
	/** The process that the rest is about. */
	incarnation: number;
	/** Connections given to it that its row does not show (handoff: not sent yet; proxy: open through this balancer). */
	own: number;
	/** Those of them that are to become WebSockets. */
	ownUpgrades: number;
	/** WebSockets given to it lately, which it may not have counted yet: in the period that runs, and in the one before. */
	young: number;
	youngBefore: number;
	/** Its socket or port did not answer: not picked before this time. */
	shunnedUntilMs: number;
	/** Connections, those on the way to it included, as of the last look and what has been picked since: the fewest wins. */
	load: number;
	/** The part of them that holds, or may come to hold, the slot of a WebSocket: what is bounded by `max`. */
	taken: number;
	max: number;
	/** Bounds `load`: more connections of any kind its open files do not allow. */
	socketsMax: number;
	serving: boolean;
	/** Serving, but without a recent heartbeat: not picked. */
	silent: boolean;
}

export interface PickerOptions {
	/** Sets the candidate's `load` and `taken` from its row and what is its own. */
	readonly measure: (candidate: Candidate) => void;
	/** `Candidate.own` at which a shard gets no more; Infinity for no bound. */
	readonly ownMax: number;
	readonly nowMs: () => number;
}

/** How long a shard that did not answer is left alone. */
const shunMs = 100;

/** Within one to two of these a shard has turned a connection that it has received into a WebSocket, or not. */
const youngMs = 100;

/** Longest time for which a shard that has room may look full. */
export const settleMs = 2 * youngMs;

/**
 * Least connections, counted at pick time: `look` reads the rows once per turn, and each pick counts at once, so a burst
 * spreads evenly though the shards report later. One owner.
 *
 * Full is a shard whose WebSockets, with those that may become some, fill its limit. A request that is no WebSocket takes no
 * slot, however long its connection is kept.
 */
export class Picker {
	readonly #table: ShardTable;
	readonly #options: PickerOptions;
	#epoch = Number.NaN;
	#candidates: Candidate[] = [];
	/** Where the search begins, so that ties rotate. */
	#next = 0;
	#agedMs = 0;
	/** Since when some shard has responded at each look; NaN while none does. */
	#respondsSinceMs = Number.NaN;

	constructor(table: ShardTable, options: PickerOptions) {
		this.#table = table;
		this.#options = options;
	}

	get #someRespond(): boolean {
		return this.#candidates.some(({ serving, silent }) => serving && !silent);
	}

	/**
	 * A shard could have what another one does not take. Only when some have responded for a moment: after a pause of the whole machine the
	 * first one to wake up would else be given everything.
	 */
	get mayTakeBack(): boolean {
		return this.#options.nowMs() - this.#respondsSinceMs >= Heartbeat.everyMs;
	}

	/** Shards serve, and none of them responds: they may only be held up. As of the last look. */
	get allSilent(): boolean {
		return !this.#someRespond && this.#candidates.some(({ serving }) => serving);
	}

	get candidates(): readonly Candidate[] {
		return this.#candidates;
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

	/** @returns the shard with the fewest connections, counted in already; null when none has room. */
	pick(isUpgrade: boolean): Candidate | null {
		const candidates = this.#candidates;
		const count = candidates.length;
		let best: Candidate | null = null;
		for (let i = 0, at = this.#next; i < count; i++, at++) {
			const candidate = candidates[at < count ? at : at - count];
			if (!candidate.serving || candidate.silent || candidate.own >= this.#options.ownMax || isFull(candidate, isUpgrade)) continue;
			if (best === null || candidate.load < best.load) best = candidate;
		}
		this.#next = this.#next + 1 < count ? this.#next + 1 : 0;
		if (best === null) return null;
		best.load++;
		if (isUpgrade) {
			best.taken++;
			best.young++;
		}
		return best;
	}

	/** Its socket or port did not answer. */
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

function isFull(candidate: Candidate, isUpgrade: boolean): boolean {
	const { load, taken, max, socketsMax } = candidate;
	return load >= socketsMax || (isUpgrade ? taken >= max : load >= max + requestAllowance);
}

function newCandidate(row: ShardRow): Candidate {
	const unknown = { shunnedUntilMs: 0, load: 0, taken: 0, max: 0, socketsMax: 0, serving: false, silent: false };
	return { row, incarnation: -1, own: 0, ownUpgrades: 0, young: 0, youngBefore: 0, ...unknown };
}

/** Connections in the shard's socket, or lost: sent to it, and neither received nor taken back. */
export function onTheWay({ handoffsSent, handoffsReceived, handoffsUndone }: ShardRow): number {
	return (handoffsSent - handoffsReceived - handoffsUndone) | 0;
}

/**
 * Handoff. What is under way is read before what has arrived, so that a connection that arrives just now is counted twice rather
 * than not. Of one that has arrived only the shard knows what it is; so the young ones count as if they were not yet WebSockets.
 */
export function measureHandoff(candidate: Candidate): void {
	const { row, own, young, youngBefore } = candidate;
	const underWay = Math.max(0, onTheWay(row)) + own;
	candidate.load = row.connections + underWay;
	candidate.taken = Math.min(candidate.load, row.webSockets + underWay + young + youngBefore);
}

/** Proxy: what goes through this balancer it knows itself; the rest are WebSockets that came to the shard's own port past it. */
export function measureProxy(candidate: Candidate): void {
	const { row, own, ownUpgrades } = candidate;
	const direct = Math.max(0, row.webSockets - row.proxiedSeen);
	candidate.load = direct + own;
	candidate.taken = direct + ownUpgrades;
}
