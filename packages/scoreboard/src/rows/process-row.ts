import { partBytes } from "../board-layout.ts";
import { type RowLayout, type ShardState, SupervisorWord, stateWord } from "../scoreboard-descriptor.ts";

/**
 * What the rows of all processes have in common: the supervisor's part, the state and the counters. Anybody may read all of it; each part has
 * one writer, given with its properties. Reads and writes are single loads and stores: cheap enough for every loop turn.
 */
export abstract class ProcessRow<Counter extends string> {
	protected readonly supervisor: Int32Array;
	protected readonly own: Int32Array;
	readonly #counters: Float64Array;
	readonly #counterIndex: ReadonlyMap<Counter, number>;

	/**
	 * @param byteOffset where the row begins in the scoreboard.
	 * @param counterIndex the index of each counter among the row's.
	 */
	protected constructor(buffer: ArrayBufferLike, byteOffset: number, layout: RowLayout, counterIndex: ReadonlyMap<Counter, number>) {
		this.supervisor = new Int32Array(buffer, byteOffset + layout.supervisorPart, partBytes >> 2);
		this.own = new Int32Array(buffer, byteOffset + layout.ownPart, partBytes >> 2);
		this.#counters = new Float64Array(buffer, byteOffset + layout.counters, counterIndex.size);
		this.#counterIndex = counterIndex;
	}

	/** Written by the process, and by the supervisor once the process is certainly dead. */
	get state(): ShardState {
		return Atomics.load(this.own, stateWord) as ShardState;
	}
	set state(value: ShardState) {
		Atomics.store(this.own, stateWord, value);
	}

	/** 0 = there is no process. Written by the supervisor. */
	get pid(): number {
		return Atomics.load(this.supervisor, SupervisorWord.pid);
	}
	set pid(value: number) {
		Atomics.store(this.supervisor, SupervisorWord.pid, value);
	}

	/** How often the process was restarted. Written by the supervisor. */
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
