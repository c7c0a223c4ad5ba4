import { type Histograms, histogramsAt } from "../histogram-words.ts";
import {
	type BalancerAffinity,
	type BalancerCounter,
	type BalancerHistogram,
	BalancerMode,
	type BalancerStrategy,
	BalancerWord,
	balancerAffinities,
	balancerCounters,
	balancerHistograms,
	balancerOutcomes,
	balancerStrategies,
	type RowLayout,
	ShardState,
} from "../scoreboard-descriptor.ts";
import { ProcessRow } from "./process-row.ts";

const counterIndex = new Map<BalancerCounter, number>(balancerCounters.map(([name], index) => [name, index]));

export interface BalancerSnapshot {
	readonly state: ShardState;
	readonly pid: number;
	readonly mode: number;
	readonly pending: number;
	readonly strategy: BalancerStrategy;
	readonly affinity: BalancerAffinity;
	readonly counters: Readonly<Record<BalancerCounter, number>>;
}

/** The balancer's row of the scoreboard. The balancer writes everything except its pid and restarts. */
export class BalancerRow extends ProcessRow<BalancerCounter> {
	readonly histograms: Histograms<BalancerHistogram>;

	/** @param byteOffset start of the row in the scoreboard. */
	constructor(buffer: ArrayBufferLike, byteOffset: number, layout: RowLayout) {
		super(buffer, byteOffset, layout, counterIndex);
		this.histograms = histogramsAt(balancerHistograms, buffer, byteOffset, layout);
	}

	get mode(): BalancerMode {
		return Atomics.load(this.own, BalancerWord.mode) as BalancerMode;
	}
	set mode(value: BalancerMode) {
		Atomics.store(this.own, BalancerWord.mode, value);
	}

	/** How it chooses a shard for a client. A number that this program does not know, of a newer balancer, is taken for the first. */
	get strategy(): BalancerStrategy {
		return balancerStrategies[Atomics.load(this.own, BalancerWord.strategy)] ?? balancerStrategies[0];
	}
	set strategy(name: BalancerStrategy) {
		Atomics.store(this.own, BalancerWord.strategy, balancerStrategies.indexOf(name));
	}

	/** Which clients it sends to the same shard. */
	get affinity(): BalancerAffinity {
		return balancerAffinities[Atomics.load(this.own, BalancerWord.affinity)] ?? balancerAffinities[0];
	}
	set affinity(name: BalancerAffinity) {
		Atomics.store(this.own, BalancerWord.affinity, balancerAffinities.indexOf(name));
	}

	/** Connections accepted, but neither passed on nor answered yet. */
	get pending(): number {
		return Atomics.load(this.own, BalancerWord.pending);
	}
	set pending(value: number) {
		Atomics.store(this.own, BalancerWord.pending, value);
	}

	snapshot(): BalancerSnapshot {
		const { state, pid, mode, pending, strategy, affinity } = this;
		return { state, pid, mode, pending, strategy, affinity, counters: this.counterValues() };
	}

	/** Called by the supervisor after the balancer's process was reaped. Counters are kept across restarts. */
	release(): void {
		this.state = ShardState.dead;
		this.mode = BalancerMode.none;
		this.pending = 0;
		this.pid = 0;
		// The connections that it held are lost.
		const settled = balancerOutcomes.reduce((sum, outcome) => sum + this.get(outcome), 0);
		this.add("lost", Math.max(0, this.get("accepted") + this.get("takenBack") - settled));
	}
}
