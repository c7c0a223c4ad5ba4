/** What a guard does while it acts: keeps new clients away, or pauses reading from Kafka. */
export type GuardAction = "refuse" | "pause";
/** What its value and threshold count. */
export type GuardUnit = "percent" | "ms" | "descriptors";

/**
 * The guards, by index: name (as in the section `guards` of the options), action, unit, and what its value is. A row of a shard has those about that
 * shard, the supervisor's row those about the whole cluster. Append only.
 */
const guardTable = [
	["cpu", "refuse", "percent", "CPU in use:"],
	["ingest_cpu", "pause", "percent", "CPU in use:"],
	["memory", "refuse", "percent", "memory in use:"],
	["ingest_memory", "pause", "percent", "memory in use:"],
	["loop_lag", "refuse", "ms", "delay of the event loop:"],
	["descriptors", "refuse", "descriptors", "open descriptors:"],
	["shared_memory", "refuse", "percent", "shared memory that others use:"],
] as const satisfies readonly (readonly [name: string, action: GuardAction, unit: GuardUnit, sentence: string])[];
export type GuardName = (typeof guardTable)[number][0];

/** Those about the whole cluster. */
export const clusterGuards = ["cpu", "ingest_cpu", "memory", "ingest_memory", "shared_memory"] as const satisfies readonly GuardName[];
/** Those about one shard; its CPU has the threshold of the cluster's. */
export const shardGuards = ["cpu", "loop_lag", "descriptors"] as const satisfies readonly GuardName[];

/** What a guard shows. */
export interface GuardReading extends GuardState {
	readonly name: GuardName;
	readonly action: GuardAction;
	readonly unit: GuardUnit;
}

export interface GuardState {
	/** `monotonicMs()` since which it acts; 0 = it does not act. */
	readonly sinceMs: number;
	/** As of the last look. */
	readonly value: number;
	/** It begins to act from here on; 0 = it is off. */
	readonly threshold: number;
	/** How often it has begun to act. */
	readonly times: number;
}

type GuardRow = readonly [name: GuardName, action: GuardAction, unit: GuardUnit, sentence: string];
const rows = new Map<GuardName, GuardRow>(guardTable.map((row) => [row[0], row]));

export function guardAction(name: GuardName): GuardAction {
	return rows.get(name)![1];
}

export function guardUnit(name: GuardName): GuardUnit {
	return rows.get(name)![2];
}

/** What the guard measures, with a colon. */
export function guardSentence(name: GuardName): string {
	return rows.get(name)![3];
}

/** "83 %", "812 ms", "960" */
export function guardAmount(value: number, unit: GuardUnit): string {
	const units = { percent: " %", ms: " ms", descriptors: "" } as const;
	return `${Math.round(value)}${units[unit]}`;
}

/** f64 words: of the whole part, and after these four of each guard. */
const Head = { atMs: 0, refuses: 1, pauses: 2 } as const;
const headWords = 4;
const Word = { sinceMs: 0, value: 1, threshold: 2, times: 3 } as const;
const wordsEach = 4;

/** Size of the part; room for 15 guards. */
export const guardPartBytes = 8 * (headWords + 15 * wordsEach);

/**
 * What nobody has renewed for this long counts no more. So clients are not kept away for ever because the process that watches the guards stands still.
 */
const freshMs = 10_000;

/**
 * The guards of a shard, or of the cluster, in shared memory. **One writer: the process that watches the guards**, once a second. Any process may read,
 * at each connection: a few loads.
 */
export class GuardWords {
	/** Null in a scoreboard of an older program, which has no guards. */
	readonly #words: Float64Array | null;

	/** @param byteOffset of the part; null = there is none. */
	constructor(buffer: ArrayBufferLike, byteOffset: number | null) {
		this.#words = byteOffset === null ? null : new Float64Array(buffer, byteOffset, guardPartBytes >> 3);
	}

	/** Whether new clients are to be kept away. */
	refuses(nowMs: number): boolean {
		return this.#shows(Head.refuses, nowMs);
	}

	/** Whether reading from Kafka is to pause. */
	pauses(nowMs: number): boolean {
		return this.#shows(Head.pauses, nowMs);
	}

	/** Those that are on, or have ever acted. */
	readings(): GuardReading[] {
		const words = this.#words;
		if (words === null) return [];
		const all = guardTable.map(([name, action, unit], index) => {
			const at = headWords + index * wordsEach;
			const word = (offset: number): number => words[at + offset]!;
			return {
				name,
				action,
				unit,
				sinceMs: word(Word.sinceMs),
				value: word(Word.value),
				threshold: word(Word.threshold),
				times: word(Word.times),
			};
		});
		return all.filter(({ threshold, times }) => threshold > 0 || times > 0);
	}

	/** Those that act. */
	acting(nowMs: number): GuardReading[] {
		return this.#isFresh(nowMs) ? this.readings().filter(({ sinceMs }) => sinceMs > 0) : [];
	}

	/** Stores what the guards are like now. Called by the writer, at each look. */
	write(nowMs: number, shown: ReadonlyMap<GuardName, GuardState>): void {
		const words = this.#words;
		if (words === null) return;
		let refuses = 0;
		let pauses = 0;
		guardTable.forEach(([name, action], index) => {
			const guard = shown.get(name);
			if (guard === undefined) return;
			const at = headWords + index * wordsEach;
			words[at + Word.sinceMs] = guard.sinceMs;
			words[at + Word.value] = guard.value;
			words[at + Word.threshold] = guard.threshold;
			words[at + Word.times] = guard.times;
			if (guard.sinceMs > 0 && action === "refuse") refuses = 1;
			if (guard.sinceMs > 0 && action === "pause") pauses = 1;
		});
		words[Head.refuses] = refuses;
		words[Head.pauses] = pauses;
		words[Head.atMs] = nowMs;
	}

	/** None acts any more, since they were about a process that is gone. Their counts stay, for the metrics. Called by the writer. */
	end(): void {
		const words = this.#words;
		if (words === null) return;
		for (let at = headWords; at < words.length; at += wordsEach) {
			words[at + Word.sinceMs] = 0;
			words[at + Word.value] = 0;
		}
		words[Head.refuses] = 0;
		words[Head.pauses] = 0;
	}

	#shows(word: number, nowMs: number): boolean {
		return this.#words !== null && this.#words[word] !== 0 && this.#isFresh(nowMs);
	}

	#isFresh(nowMs: number): boolean {
		return this.#words !== null && nowMs - this.#words[Head.atMs]! < freshMs;
	}
}
