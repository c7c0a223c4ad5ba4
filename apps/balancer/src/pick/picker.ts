import type { Config } from "@shardcast/config";
import { type BalancerCounter, ShardState } from "@shardcast/scoreboard";
import { consistentHash, createStrategy, homeOf, isOverloaded, type SelectionKey, type Strategy } from "@shardcast/selection";
import { Heartbeat } from "@shardcast/wire";
import { type Candidate, isFull, newCandidate, type ShardRow } from "./candidate.ts";
import { noKey } from "./placement-keys.ts";
import { ShardLoads } from "./shard-loads.ts";

/** The part of the scoreboard that picking needs. */
interface ShardTable {
	readonly membershipEpoch: number;
	/** Those of the whole cluster. */
	readonly guards: ShardRow["guards"];
	rows(): ShardRow[];
}

export interface PickerOptions {
	/** Sets the candidate's `connections` and `taken` from its row and its `own`. */
	readonly measure: (candidate: Candidate) => void;
	/** A shard with this `Candidate.own` gets no more; Infinity = no bound. */
	readonly ownMax: number;
	readonly nowMs: () => number;
	/** What messages to clients call the processes; "shards" if not given. */
	readonly processes?: string;
	/** How shards are chosen until `use` says otherwise. */
	readonly rules: PickRules;
	/** Counts what became of connections with affinity. */
	readonly count: (counter: AffinityCounter) => void;
	/** A remote shard with so many connections in the making gets no more for now. */
	readonly dialingMax?: number;
	/** That of this machine if not given. */
	readonly loads?: ShardLoads;
	/** Returns a number from 0 to below 1. */
	readonly random?: () => number;
}

export type PickRules = Pick<Config, "lbStrategy" | "lbWeights" | "lbAffinity">;
type AffinityCounter = Extract<BalancerCounter, `affinity${string}`>;

const none: readonly Candidate[] = [];

/** How long a shard that has not served a connection is left alone. */
const shunMs = 100;

/** Within one to two of these periods, a shard has made a WebSocket of a connection that it received, or has not. */
const youngMs = 100;

/** The longest time that a shard with room may look full. */
export const settleMs = 2 * youngMs;

/**
 * Picks a shard for each connection, by a strategy of `packages/selection`, which the balancer shares with the selection of nodes. `look` reads
 * the rows once per turn, and each pick counts at once, so a burst spreads evenly although the shards report later. A strategy sees only
 * shards that serve, respond and have room. One owner.
 */
export class Picker {
	readonly #table: ShardTable;
	readonly #options: PickerOptions;
	#epoch = Number.NaN;
	#candidates: Candidate[] = [];
	/** Those among which a pick chooses; filled by each. */
	readonly #able: Candidate[] = [];
	readonly #loads: ShardLoads;
	/**
	 * Turns of clients and of other requests are kept apart: a client that first asks for something and then connects would otherwise get every
	 * second turn, and leave half of the shards empty.
	 */
	#lasting: Strategy;
	#short: Strategy;
	#rules: PickRules;
	/** Where the next search begins, so that ties rotate. */
	#next = 0;
	#agedMs = 0;
	/** See `isOverloaded`. */
	#overloaded = false;
	/** Since when at least one shard has responded at every look; NaN while none does. */
	#respondsSinceMs = Number.NaN;

	constructor(table: ShardTable, options: PickerOptions) {
		this.#table = table;
		this.#options = options;
		this.#loads = options.loads ?? new ShardLoads();
		this.#rules = options.rules;
		[this.#lasting, this.#short] = this.#strategies();
	}

	/** Chooses by other rules from now on. Connections that are open stay where they are. */
	use(rules: PickRules): void {
		const isOther = rules.lbStrategy !== this.#rules.lbStrategy;
		this.#rules = rules;
		if (isOther) [this.#lasting, this.#short] = this.#strategies();
		this.#epoch = Number.NaN;
	}

	get #someRespond(): boolean {
		return this.#candidates.some(({ serving, silent }) => serving && !silent);
	}

	get #someUnguarded(): boolean {
		return this.#candidates.some(({ serving, silent, guarded }) => serving && !silent && !guarded);
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
		return this.isHeldUp(false, []);
	}

	/** The same for a connection: those that it may go to serve, but none of them responds. @param isLocal @param tried see `pick`. */
	isHeldUp(isLocal: boolean, tried: readonly Candidate[]): boolean {
		const serving = this.candidatesFor(isLocal, tried).filter((each) => each.serving);
		return serving.length > 0 && serving.every(({ silent }) => silent);
	}

	/** The shards that a connection may go to, able or not. @param isLocal @param tried see `pick`. */
	candidatesFor(isLocal: boolean, tried: readonly Candidate[]): readonly Candidate[] {
		return this.#candidates.filter((each) => !(isLocal && each.row.remote !== undefined) && !tried.includes(each));
	}

	/** Guards of the cluster, or of every shard that responds, keep clients away. As of the last look. */
	get isOverloaded(): boolean {
		return this.#overloaded;
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
			candidate.guarded = row.guards.refuses(nowMs);
			candidate.maxConnections = row.connectionsMax;
			candidate.socketsMax = row.socketsMax;
			this.#options.measure(candidate);
		}
		this.#loads.measure(this.#candidates, nowMs, this.#rules.lbStrategy === "adaptive");
		this.#overloaded = this.#table.guards.refuses(nowMs) || (this.#someRespond && !this.#someUnguarded);
		if (!this.#someRespond) this.#respondsSinceMs = Number.NaN;
		else if (Number.isNaN(this.#respondsSinceMs)) this.#respondsSinceMs = nowMs;
	}

	/**
	 * @param isLasting the connection is a client's WebSocket or stream: it goes to shards whose guards do not act, if there is one with room. If not, the
	 * shard refuses it, unless it is the console's.
	 * @param key what the rules need to know of the client.
	 * @param isLocal it must go to a shard of this machine. @param tried could not take it, and are not picked again; shards of this machine come first then.
	 * @returns the shard that gets the connection, which it counts from now on; null when none has room.
	 */
	pick(isLasting: boolean, key: SelectionKey = noKey, isLocal = false, tried: readonly Candidate[] = none): Candidate | null {
		const count = this.#candidates.length;
		const able = this.#able;
		if (tried.length > 0) this.#collect(isLasting, !isLasting, true, tried);
		if (tried.length === 0 || able.length === 0) this.#collect(isLasting, !isLasting, isLocal, tried);
		if (isLasting && able.length === 0) this.#collect(true, true, isLocal, tried);
		this.#next = this.#next + 1 < count ? this.#next + 1 : 0;
		if (able.length === 0) return null;
		const best = this.#choose(able, isLasting, key);
		best.connections++;
		if (isLasting) {
			best.taken++;
			best.young++;
		}
		return best;
	}

	/** Fills `#able`. @param takesGuarded whether shards whose guards act are among them. */
	#collect(isLasting: boolean, takesGuarded: boolean, isLocal: boolean, tried: readonly Candidate[]): void {
		const candidates = this.#candidates;
		const count = candidates.length;
		const { dialingMax = Number.POSITIVE_INFINITY } = this.#options;
		this.#able.length = 0;
		for (let i = 0, at = this.#next; i < count; i++, at++) {
			const candidate = candidates[at < count ? at : at - count];
			const { serving, silent, guarded, own } = candidate;
			if (!serving || silent || (guarded && !takesGuarded)) continue;
			if (candidate.row.remote !== undefined && (isLocal || candidate.row.dialing! >= dialingMax)) continue;
			if (tried.length > 0 && tried.includes(candidate)) continue;
			if (own < this.#options.ownMax && !isFull(candidate, isLasting)) this.#able.push(candidate);
		}
	}

	/** Reports that it has not served a connection. */
	shun(candidate: Candidate): void {
		candidate.shunnedUntilMs = this.#options.nowMs() + shunMs;
		candidate.serving = false;
	}

	/**
	 * The shard of the client's id, if the client has one: the first in an order that is the id's own. While that shard cannot take it, the next one in
	 * this order does, so clients with the same id stay together. Without an id, the strategy chooses.
	 */
	#choose(able: readonly Candidate[], isLasting: boolean, key: SelectionKey): Candidate {
		const { lbAffinity, lbStrategy } = this.#rules;
		const { count } = this.#options;
		const strategy = isLasting ? this.#lasting : this.#short;
		if (lbAffinity === "none") return strategy(able, key);
		if (key.user === "") {
			count("affinityUnknown");
			return strategy(able, key);
		}
		const fit = lbStrategy === "adaptive" ? able.filter((candidate) => !isOverloaded(candidate)) : able;
		const chosen = consistentHash(fit.length > 0 ? fit : able, key.user);
		count(chosen === homeOf(this.#candidates, key.user) ? "affinityKept" : "affinityMoved");
		return chosen;
	}

	#strategies(): [lasting: Strategy, short: Strategy] {
		const { random = Math.random } = this.#options;
		const next = () => createStrategy(this.#rules.lbStrategy, random, true);
		return [next(), next()];
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
		const rows = this.#table.rows();
		this.#candidates = rows.map((row) => {
			const candidate = known.get(row.slot) ?? newCandidate(row);
			// One without weight takes no clients, and strategies divide by it.
			candidate.weight = Math.max(1, row.remote?.known.weight ?? Number(this.#rules.lbWeights[row.slot] ?? 1));
			row.weight = candidate.weight;
			return candidate;
		});
		// There may be fewer now.
		if (this.#next >= rows.length) this.#next = 0;
		this.#loads.forget(new Set(rows.map(({ slot }) => slot)));
	}

	#replaced(candidate: Candidate): void {
		candidate.incarnation = candidate.row.incarnation;
		candidate.shunnedUntilMs = 0;
		candidate.young = 0;
		candidate.youngBefore = 0;
	}
}
