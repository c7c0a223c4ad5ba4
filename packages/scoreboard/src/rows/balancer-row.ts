import { type Histograms, histogramsAt } from "../histogram-words.ts";
import {
	type BalancerCounter,
	type BalancerHistogram,
	BalancerMode,
	BalancerWord,
	balancerCounters,
	balancerHistograms,
	balancerOutcomes,
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

	/** Connections accepted, but neither passed on nor answered yet. */
	get pending(): number {
		return Atomics.load(this.own, BalancerWord.pending);
	}
	set pending(value: number) {
		Atomics.store(this.own, BalancerWord.pending, value);
	}

	snapshot(): BalancerSnapshot {
		return { state: this.state, pid: this.pid, mode: this.mode, pending: this.pending, counters: this.counterValues() };
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
