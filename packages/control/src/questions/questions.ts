import { withDeadline } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import type { PartAnswers } from "./part-answers.ts";
import { type Question, questionsMax } from "./question.ts";
import { SharedAnswers } from "./shared-answers.ts";

/** A process that is asked for its part. */
export interface AskedProcess {
	/** Such as "shard-0": the label under which its missing parts are counted. */
	readonly name: string;
	readonly isShard: boolean;
	/** Rejects when it is gone or has no answer; the caller keeps the deadline too. */
	request(question: string, request: unknown, deadlineMs: number): Promise<unknown>;
}

export interface QuestionsParts {
	/** The other processes that serve now. */
	readonly processes: () => readonly AskedProcess[];
	/** What the asking process has to say itself. */
	readonly own?: { readonly name: string; readonly answers: PartAnswers };
	/** Told when a process's part begins to be missing. */
	readonly log?: Pick<Log, "warn">;
}

/** What a merge may want to know besides the parts. */
export interface Asked<Request> {
	readonly request: Request;
	/** `performance.now()` when the question was put. */
	readonly beganMs: number;
}

interface Entry {
	readonly question: Question<unknown, unknown, unknown>;
	readonly merge: (parts: readonly unknown[], asked: Asked<unknown>) => unknown;
}

/**
 * Puts questions to all processes and merges what they say: one per cluster, in the supervisor; with a single process, in that one. An answer
 * comes within little more than the question's deadline. A process that is late, gone or answers nonsense costs its own part, which is
 * counted; an order fails then, when all others have been told. Requests for the same while an answer is being made share it, so many scrapers
 * cost as much as one; orders share none.
 */
export class Questions {
	readonly #parts: QuestionsParts;
	readonly #entries = new Map<string, Entry>();
	/** By question, then by process; as many as there have been processes by that name. */
	readonly #missing = new Map<string, Map<string, number>>();
	/** `<question> <process>` whose part was missing in the last answer: told once, not each time. */
	readonly #told = new Set<string>();
	readonly #underWay = new SharedAnswers();

	constructor(parts: QuestionsParts) {
		this.#parts = parts;
	}

	/** How often a process's part was missing, by question and process. A process that has been asked is there, if only with 0. */
	get missing(): ReadonlyMap<string, ReadonlyMap<string, number>> {
		return this.#missing;
	}

	/** @throws when there is one by that name. */
	add<Request, Part, Answer>(
		question: Question<Request, Part, Answer>,
		merge: (parts: readonly Part[], asked: Asked<Request>) => Answer | Promise<Answer>,
	): void {
		if (this.#entries.has(question.name)) throw new Error(`there is a question "${question.name}" already`);
		this.#entries.set(question.name, { question, merge: merge as Entry["merge"] });
		this.#missing.set(question.name, new Map());
	}

	/** Rejects when the question is unknown here, or too many are under way. */
	async ask<Request, Part, Answer>(question: Question<Request, Part, Answer>, request: Request): Promise<Answer> {
		return (await this.answer(question.name, request)) as Answer;
	}

	/** As `ask`, for a question that came from another process by its name. */
	async answer(name: string, request: unknown): Promise<unknown> {
		const entry = this.#entries.get(name);
		if (entry === undefined) throw new Error(`nobody here knows the question "${name.slice(0, 40)}"`);
		const make = async (): Promise<unknown> => {
			if (this.#underWay.size >= questionsMax) throw new Error(`${questionsMax} questions are under way already`);
			return this.#collect(entry, request);
		};
		return entry.question.isOrder === true ? this.#underWay.alone(make) : this.#underWay.of(name, request, make);
	}

	async #collect({ question, merge }: Entry, request: unknown): Promise<unknown> {
		const beganMs = performance.now();
		const { processes, own } = this.#parts;
		const asked: Pick<AskedProcess, "name" | "request">[] = processes().filter(
			({ isShard }) => question.asks === "everyProcess" || (isShard && question.asks === "shards"),
		);
		if (own?.answers.has(question.name)) asked.push({ name: own.name, request: (name) => own.answers.answer(name, request) });
		const parts = await Promise.all(asked.map((process) => this.#part(question, process, request)));
		if ((question.isOrder === true || question.isWhole === true) && parts.includes(null)) {
			const silent = asked.filter((_, index) => parts[index] === null).map(({ name }) => name);
			throw new Error(missed(question, silent.join(", ")));
		}
		return merge(
			parts.flatMap((part) => (part === null ? [] : [part.value])),
			{ request, beganMs },
		);
	}

	/** Null when it is missing. */
	async #part(
		question: Question<unknown, unknown, unknown>,
		process: Pick<AskedProcess, "name" | "request">,
		request: unknown,
	): Promise<{ readonly value: unknown } | null> {
		const { name, deadlineMs } = question;
		const counts = this.#missing.get(name)!;
		// A counter that is not there at 0 hides its first step from every rate.
		counts.set(process.name, counts.get(process.name) ?? 0);
		const key = `${name} ${process.name}`;
		try {
			const data = await withDeadline(process.request(name, request, deadlineMs), deadlineMs, `the ${name} of ${process.name}`);
			const value = question.check(data);
			this.#told.delete(key);
			return { value };
		} catch (error) {
			// Late, gone, or nonsense. Whether the process is well, the supervisor sees by its heartbeat.
			counts.set(process.name, counts.get(process.name)! + 1);
			if (!this.#told.has(key)) this.#parts.log?.warn(`${consequence(question, process.name)}: ${(error as Error).message}`);
			this.#told.add(key);
			return null;
		}
	}
}

/** Why an order, or a question that must be answered by all, fails. */
function missed({ name, isOrder }: Question<unknown, unknown, unknown>, processes: string): string {
	return isOrder === true ? `${processes} may not have carried out "${name}"` : `${processes} did not answer "${name}"`;
}

function consequence(question: Question<unknown, unknown, unknown>, process: string): string {
	if (question.isOrder === true) return missed(question, process);
	return question.isWhole === true
		? `${missed(question, process)}, so nobody gets an answer`
		: `the answer to "${question.name}" goes out without ${process}`;
}
