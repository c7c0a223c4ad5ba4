import { partBytes } from "../board-layout.ts";
import { type RowLayout, type ShardState, SupervisorWord, stateWord } from "../scoreboard-descriptor.ts";

/**
 * The common part of the rows of all processes: the supervisor's part, the state and the counters. Every process may read it. Each part has one
 * writer, named in its properties. Reads and writes are single loads and stores: cheap enough for every loop turn.
 */
export abstract class ProcessRow<Counter extends string> {
	protected readonly supervisor: Int32Array;
	protected readonly own: Int32Array;
	readonly #counters: Float64Array;
	readonly #counterIndex: ReadonlyMap<Counter, number>;

	/**
	 * @param byteOffset start of the row in the scoreboard.
	 * @param counterIndex index of each counter in the row.
	 */
	protected constructor(buffer: ArrayBufferLike, byteOffset: number, layout: RowLayout, counterIndex: ReadonlyMap<Counter, number>) {
		this.supervisor = new Int32Array(buffer, byteOffset + layout.supervisorPart, partBytes >> 2);
		this.own = new Int32Array(buffer, byteOffset + layout.ownPart, partBytes >> 2);
		this.#counters = new Float64Array(buffer, byteOffset + layout.counters, counterIndex.size);
		this.#counterIndex = counterIndex;
	}

	/** Written by the process, or by the supervisor after the process was reaped. */
	get state(): ShardState {
		return Atomics.load(this.own, stateWord) as ShardState;
	}
	set state(value: ShardState) {
		Atomics.store(this.own, stateWord, value);
	}

	/** 0 = no process. Written by the supervisor. */
	get pid(): number {
		return Atomics.load(this.supervisor, SupervisorWord.pid);
	}
	set pid(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.pid, value);
	}

	/** Number of restarts. Written by the supervisor. */
	get restarts(): number {
		return Atomics.load(this.supervisor, SupervisorWord.restarts);
	}
	set restarts(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.restarts, value);
	}

	/** Counters are written by the process. */
	get(counter: Counter): number {
		return this.#counters[this.#counterIndex.get(counter)!];
	}

	set(counter: Counter, value: number): void {
		this.#counters[this.#counterIndex.get(counter)!] = value;
	}

	add(counter: Counter, amount: number): void {
		this.#counters[this.#counterIndex.get(counter)!] += amount;
	}

	protected counterValues(): Readonly<Record<Counter, number>> {
		return Object.fromEntries([...this.#counterIndex.keys()].map((name) => [name, this.get(name)])) as Record<Counter, number>;
	}
}
