import { partBytes } from "./board-layout.ts";
import { type Histograms, histogramsAt } from "./histogram-words.ts";
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
	SupervisorWord,
} from "./scoreboard-descriptor.ts";

const counterIndex = new Map<BalancerCounter, number>(balancerCounters.map(([name], index) => [name, index]));

export interface BalancerSnapshot {
	readonly state: ShardState;
	readonly pid: number;
	readonly mode: number;
	readonly pending: number;
	readonly counters: Readonly<Record<BalancerCounter, number>>;
}

/** The balancer's row of the scoreboard. The balancer writes it but for its pid and restarts, which the supervisor does; anybody reads it. */
export class BalancerRow {
	readonly histograms: Histograms<BalancerHistogram>;
	readonly #supervisor: Int32Array;
	readonly #own: Int32Array;
	readonly #counters: Float64Array;

	/** `byteOffset` is where the row begins in the scoreboard. */
	constructor(buffer: ArrayBufferLike, byteOffset: number, layout: RowLayout) {
		this.#supervisor = new Int32Array(buffer, byteOffset + layout.supervisorPart, partBytes >> 2);
		this.#own = new Int32Array(buffer, byteOffset + layout.ownPart, partBytes >> 2);
		this.#counters = new Float64Array(buffer, byteOffset + layout.counters, balancerCounters.length);
		this.histograms = histogramsAt(balancerHistograms, buffer, byteOffset, layout);
	}

	/** The same life as a shard's. */
	get state(): ShardState {
		return Atomics.load(this.#own, BalancerWord.state) as ShardState;
	}
	set state(value: ShardState) {
		Atomics.store(this.#own, BalancerWord.state, value);
	}

	/** 0 when there is no process. Written by the supervisor. */
	get pid(): number {
		return Atomics.load(this.#supervisor, SupervisorWord.pid);
	}
	set pid(value: number) {
		Atomics.store(this.#supervisor, SupervisorWord.pid, value);
	}

	/** How often it was started again. Written by the supervisor. */
	get restarts(): number {
		return Atomics.load(this.#supervisor, SupervisorWord.restarts);
	}
	set restarts(value: number) {
		Atomics.store(this.#supervisor, SupervisorWord.restarts, value);
	}

	get mode(): BalancerMode {
		return Atomics.load(this.#own, BalancerWord.mode) as BalancerMode;
	}
	set mode(value: BalancerMode) {
		Atomics.store(this.#own, BalancerWord.mode, value);
	}

	/** Connections accepted and neither handed on nor answered yet. */
	get pending(): number {
		return Atomics.load(this.#own, BalancerWord.pending);
	}
	set pending(value: number) {
		Atomics.store(this.#own, BalancerWord.pending, value);
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
