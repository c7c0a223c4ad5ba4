import { randomBytes } from "node:crypto";
import type { ArgumentsOf, ArgumentTable } from "./arguments.ts";
import { type AdminCluster, EndedEarly, type OperationSummary, Refused, type Verb } from "./verb.ts";

/** done, as asked; partly = some of it; refused = nothing has changed; failed = an error, and nobody knows how far it came. */
export const outcomes = ["done", "partly", "refused", "failed"] as const;
export type OperationOutcome = (typeof outcomes)[number];

/** What is told about an operation, as a line of NDJSON. */
export type OperationEvent =
	| { readonly type: "progress"; readonly at: number; readonly text: string; readonly data?: object }
	| { readonly type: "warning"; readonly at: number; readonly text: string }
	| OperationEnd;

export interface OperationEnd {
	readonly type: "end";
	readonly at: number;
	readonly outcome: OperationOutcome;
	/** Why it is not "done". */
	readonly reason?: string;
	/** The verb's result; absent if it is refused, has failed, or was ended before there was one. */
	readonly result?: unknown;
	/** The same for people. */
	readonly lines: readonly string[];
}

/** A part of an operation's events. */
export interface EventPage {
	readonly events: readonly OperationEvent[];
	/** Events before them that are no longer kept. */
	readonly skipped: number;
	/** Where the next page begins. */
	readonly next: number;
}

/** Most operations at once, finished ones of a kind (they change something, or only look) that are kept, and events that are kept of each. */
const runningMax = 16;
const finishedMax = 32;
const eventsMax = 500;

/** One call of a verb. It goes on if the caller leaves. */
export class VerbRun {
	readonly id = randomBytes(6).toString("hex");
	readonly verb: Verb;
	readonly who: string;
	readonly command: string;
	readonly startedAt = Date.now();
	readonly #abort = new AbortController();
	readonly #events: OperationEvent[] = [];
	#first = 0;
	#step = "";
	#end: OperationEnd | null = null;
	/** Called at the next event. */
	readonly #waiting = new Set<() => void>();

	constructor(verb: Verb, command: string, who: string) {
		this.verb = verb;
		this.command = command;
		this.who = who;
	}

	/** Null while it runs. */
	get end(): OperationEnd | null {
		return this.#end;
	}

	get summary(): OperationSummary {
		const { id, verb, command, who, startedAt } = this;
		return { id, verb: verb.name, command, who, startedAt, step: this.#step };
	}

	get signal(): AbortSignal {
		return this.#abort.signal;
	}

	/** Asks it to stop early. */
	cancel(): void {
		this.#abort.abort();
	}

	tell(event: OperationEvent): void {
		if (this.#end !== null) return;
		this.#events.push(event);
		if (this.#events.length > eventsMax) {
			this.#events.shift();
			this.#first++;
		}
		if (event.type === "progress") this.#step = event.text;
		if (event.type === "end") this.#end = event;
		for (const wake of [...this.#waiting]) wake();
	}

	/** @param after the number of events that the caller has. */
	eventsAfter(after: number): EventPage {
		const from = Math.max(0, after - this.#first);
		return {
			events: this.#events.slice(from),
			skipped: Math.max(0, this.#first - after),
			next: this.#first + this.#events.length,
		};
	}

	/** Resolves when there is an event after those, or it has ended, or the time is over. @param isEnough "end" = waits for the end. */
	async wait(after: number, waitMs: number, isEnough: "event" | "end"): Promise<void> {
		const is = () => this.#end !== null || (isEnough === "event" && this.#first + this.#events.length > after);
		if (is() || waitMs <= 0) return;
		await new Promise<void>((resolve) => {
			const done = (): void => {
				clearTimeout(timer);
				this.#waiting.delete(wake);
				resolve();
			};
			const wake = (): void => {
				if (is()) done();
			};
			const timer = setTimeout(done, waitMs);
			this.#waiting.add(wake);
		});
	}
}

interface VerbRunsParts {
	readonly cluster: AdminCluster;
	/** Called once for each operation that has ended, with every operation that changes something and every failed one. */
	readonly onEnd: (operation: VerbRun, end: OperationEnd, error: unknown) => void;
}

/**
 * Runs verbs. Owned by the supervisor. Bounds: `runningMax` operations at once, more are refused; of the finished ones the latest `finishedMax` that
 * change something are kept, and as many that only look, so that a caller that was cut off can still ask for the result.
 */
export class VerbRuns {
	readonly #parts: VerbRunsParts;
	/** In the order of their start; finished ones, too. */
	readonly #all = new Map<string, VerbRun>();

	constructor(parts: VerbRunsParts) {
		this.#parts = parts;
	}

	/** Those in progress, oldest first. */
	get running(): readonly VerbRun[] {
		return [...this.#all.values()].filter(({ end }) => end === null);
	}

	get(id: string): VerbRun | null {
		return this.#all.get(id) ?? null;
	}

	/**
	 * Starts a verb and does not wait for its end.
	 * @param command how people know it. @throws Refused when it may not run now.
	 */
	start(verb: Verb, args: ArgumentsOf<ArgumentTable>, { command, who }: { readonly command: string; readonly who: string }): VerbRun {
		const { running } = this;
		const inTheWay = verb.isExclusive === true ? running.find((operation) => operation.verb.isExclusive === true) : undefined;
		if (inTheWay !== undefined)
			throw new Refused(
				`"${inTheWay.command}" of ${inTheWay.who} is in progress (operation ${inTheWay.id}); wait for its end, or stop it with \`shardcast cancel\``,
			);
		if (running.length >= runningMax && verb.isUrgent !== true)
			throw new Refused(`${runningMax} operations are in progress already; try again when one has ended`);
		const operation = new VerbRun(verb, command, who);
		this.#all.set(operation.id, operation);
		this.#forget();
		void this.#run(operation, args);
		return operation;
	}

	/** Asks the exclusive operation to stop early; null if there is none. */
	cancelExclusive(): VerbRun | null {
		const operation = this.running.find(({ verb }) => verb.isExclusive === true) ?? null;
		operation?.cancel();
		return operation;
	}

	/** Asks all to stop early. */
	stop(): void {
		for (const operation of this.running) operation.cancel();
	}

	async #run(operation: VerbRun, args: ArgumentsOf<ArgumentTable>): Promise<void> {
		const { verb, signal } = operation;
		let partly: string | null = null;
		let error: unknown = null;
		let end: Omit<OperationEnd, "at" | "type">;
		try {
			const result = await verb.run(args, {
				cluster: this.#parts.cluster,
				signal,
				progress: (text, data) => operation.tell({ type: "progress", at: Date.now(), text, ...(data !== undefined && { data }) }),
				warn: (text) => operation.tell({ type: "warning", at: Date.now(), text }),
				partly: (why) => {
					partly = why;
				},
			});
			const lines = verb.describe(result);
			end = partly === null ? { outcome: "done", result, lines } : { outcome: "partly", reason: partly, result, lines };
		} catch (caught) {
			error = caught;
			const reason = caught instanceof Error ? caught.message : String(caught);
			end = { outcome: outcomeOf(caught), reason, lines: [] };
		}
		const told: OperationEnd = { type: "end", at: Date.now(), ...end };
		operation.tell(told);
		this.#parts.onEnd(operation, told, error);
	}

	/** Keeps the latest finished ones. Those that only look are counted apart: a monitor's must not push out the result of a restart. */
	#forget(): void {
		for (const changes of [true, false]) {
			const finished = [...this.#all.values()].filter(({ end, verb }) => end !== null && verb.changes === changes);
			for (const { id } of finished.slice(0, Math.max(0, finished.length - finishedMax))) this.#all.delete(id);
		}
	}
}

function outcomeOf(error: unknown): OperationOutcome {
	if (error instanceof Refused) return "refused";
	return error instanceof EndedEarly ? "partly" : "failed";
}
