import { type Histograms, histogramsAt } from "./histogram-words.ts";
import {
	type BalancerCounter,
	type BalancerHistogram,
	BalancerMode,
	BalancerWord,
	BoardLayout,
	balancerCounters,
	balancerHistograms,
	balancerOutcomes,
	ShardState,
} from "./scoreboard-descriptor.ts";

const counterIndex = new Map<BalancerCounter, number>(balancerCounters.map(([name], index) => [name, index]));

export interface BalancerSnapshot {
	readonly state: ShardState;
	readonly pid: number;
	readonly mode: number;
	readonly pending: number;
	readonly counters: Readonly<Record<BalancerCounter, number>>;
}

/** The balancer's block of the scoreboard. The balancer writes it, anybody reads it. */
export class BalancerBlock {
	readonly histograms: Histograms<BalancerHistogram>;
	readonly #words: Int32Array;
	readonly #counters: Float64Array;

	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(buffer, BoardLayout.headerBytes, BoardLayout.balancerBytes >> 2);
		const countersOffset = BoardLayout.headerBytes + BoardLayout.balancerCounters;
		this.#counters = new Float64Array(buffer, countersOffset, balancerCounters.length);
		this.histograms = histogramsAt(balancerHistograms, buffer, BoardLayout.headerBytes);
	}

	/** The same life as a shard's. */
	get state(): ShardState {
		return Atomics.load(this.#words, BalancerWord.state) as ShardState;
	}
	set state(value: ShardState) {
		Atomics.store(this.#words, BalancerWord.state, value);
	}

	get pid(): number {
		return Atomics.load(this.#words, BalancerWord.pid);
	}
	set pid(value: number) {
		Atomics.store(this.#words, BalancerWord.pid, value);
	}

	get mode(): BalancerMode {
		return Atomics.load(this.#words, BalancerWord.mode) as BalancerMode;
	}
	set mode(value: BalancerMode) {
		Atomics.store(this.#words, BalancerWord.mode, value);
	}

	/** Connections accepted and neither handed on nor answered yet. */
	get pending(): number {
		return Atomics.load(this.#words, BalancerWord.pending);
	}
	set pending(value: number) {
		Atomics.store(this.#words, BalancerWord.pending, value);
	}

	get(counter: BalancerCounter): number {
		return this.#counters[counterIndex.get(counter)!];
	}

	set(counter: BalancerCounter, value: number): void {
		this.#counters[counterIndex.get(counter)!] = value;
	}

	add(counter: BalancerCounter, amount: number): void {
		this.#counters[counterIndex.get(counter)!] += amount;
	}

	snapshot(): BalancerSnapshot {
		const counters = Object.fromEntries(balancerCounters.map(([name]) => [name, this.get(name)])) as Record<BalancerCounter, number>;
		return { state: this.state, pid: this.pid, mode: this.mode, pending: this.pending, counters };
	}

	/** For the supervisor, once the balancer's process is certainly dead. Counters stay: they count over its restarts. */
	release(): void {
		this.state = ShardState.dead;
		this.mode = BalancerMode.none;
		this.pending = 0;
		this.pid = 0;
		// What it held has died with it.
		const settled = balancerOutcomes.reduce((sum, outcome) => sum + this.get(outcome), 0);
		this.add("lost", Math.max(0, this.get("accepted") + this.get("takenBack") - settled));
	}
}
