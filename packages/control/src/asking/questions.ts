import { withDeadline } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import type { PartAnswers } from "./part-answers.ts";
import { type Question, questionsMax } from "./question.ts";
import { SharedAnswers } from "./shared-answers.ts";

/** A process that has a part. */
export interface AskedProcess {
	/** Such as "shard-0". Also the label for counting its missing parts. */
	readonly name: string;
	readonly isShard: boolean;
	/** Rejects when it is gone or has no answer. The caller checks the deadline, too. */
	request(question: string, request: unknown, deadlineMs: number): Promise<unknown>;
}

/** What another node has contributed to an answer: the parts of its processes, or why there are none. */
export type NodeParts =
	| { readonly node: string; readonly parts: readonly unknown[] }
	| {
			readonly node: string;
			readonly problem: string;
			/** It is not connected to Redis now, so nobody can know what it has. An answer goes out without it; an order fails. */
			readonly isAway: boolean;
	  };

/** The other nodes of a cluster. */
export interface OtherNodes {
	/** Puts a question to all of them. Resolves little later than the deadline at most, and never rejects. */
	ask(question: string, request: unknown, deadlineMs: number): Promise<readonly NodeParts[]>;
}

interface QuestionsParts {
	/** Null = this node works alone. */
	readonly nodes?: () => OtherNodes | null;
	/** The other serving processes. */
	readonly processes: () => readonly AskedProcess[];
	/** The asking process's own parts. */
	readonly own?: { readonly name: string; readonly answers: PartAnswers };
	/** Gets a line when a process's part starts to be missing. */
	readonly log?: Pick<Log, "warn">;
}

/** What a merge can use besides the parts. */
export interface Asked<Request> {
	readonly request: Request;
	/** `performance.now()` when the question was asked. */
	readonly beganMs: number;
}

type AnyQuestion = Question<unknown, unknown, unknown>;

/** Other nodes have so much longer for their answers than their shards: so their answer, or error, is there before the deadline. */
const nodesDeadlineFactor = 1.5;

interface Entry {
	readonly question: AnyQuestion;
	readonly merge: (parts: readonly unknown[], asked: Asked<unknown>) => unknown;
}

/**
 * Puts questions to all processes and merges their parts. One per cluster: in the supervisor, or in the only process. An answer is ready little
 * later than the question's deadline at most. If a process is late, gone or sends an invalid part, that part is left out and counted; an order
 * fails then, after all other processes got it. Equal requests during a collection share its answer, so many scrapers cost as much as one; orders
 * are never shared.
 */
export class Questions {
	readonly #parts: QuestionsParts;
	readonly #entries = new Map<string, Entry>();
	/** By question, then by process name. Bounded by the number of names. */
	readonly #missing = new Map<string, Map<string, number>>();
	/** `<question> <process>` whose part was missing in the last answer, so that it is logged once, not each time. */
	readonly #reported = new Set<string>();
	readonly #pending = new SharedAnswers();

	constructor(parts: QuestionsParts) {
		this.#parts = parts;
	}

	/** Number of missing parts, by question and process. Includes every process that was asked, if only with 0. */
	get missing(): ReadonlyMap<string, ReadonlyMap<string, number>> {
		return this.#missing;
	}

	/** @throws Error when the question exists already. */
	add<Request, Part, Answer>(
		question: Question<Request, Part, Answer>,
		merge: (parts: readonly Part[], asked: Asked<Request>) => Answer | Promise<Answer>,
	): void {
		if (this.#entries.has(question.name)) throw new Error(`the question "${question.name}" already exists`);
		this.#entries.set(question.name, { question: question as unknown as AnyQuestion, merge: merge as Entry["merge"] });
		this.#missing.set(question.name, new Map());
	}

	/** Rejects when the question is unknown here, or too many are in progress. */
	async ask<Request, Part, Answer>(question: Question<Request, Part, Answer>, request: Request): Promise<Answer> {
		return (await this.answer(question.name, request)) as Answer;
	}

	/** Like `ask`, for a question that another process has named. */
	async answer(name: string, request: unknown): Promise<unknown> {
		const entry = this.#entries.get(name);
		if (entry === undefined) throw new Error(`unknown question "${name.slice(0, 40)}"`);
		const make = async (): Promise<unknown> => {
			if (this.#pending.size >= questionsMax) throw new Error(`${questionsMax} questions are already in progress`);
			return this.#collect(entry, request);
		};
		return entry.question.isOrder === true ? this.#pending.alone(make) : this.#pending.of(name, request, make);
	}

	/**
	 * The parts of this node's processes, for another node that asks.
	 * @throws Error when the question does not concern other nodes, the request is invalid, or a part is missing that must not be.
	 */
	async partsForNode(name: string, request: unknown): Promise<readonly unknown[]> {
		const question = this.#entries.get(name)?.question;
		if (question?.acrossNodes === undefined) throw new Error(`nodes do not answer "${name.slice(0, 40)}" for each other`);
		return this.#local(question, question.acrossNodes.check(request));
	}

	async #collect({ question, merge }: Entry, request: unknown): Promise<unknown> {
		const beganMs = performance.now();
		const [own, others] = await Promise.all([settled(this.#local(question, request)), this.#fromNodes(question, request)]);
		// Only now, so that an order has reached the other nodes as well.
		if ("error" in own) throw own.error;
		return merge([...own.value, ...others], { request, beganMs });
	}

	/** Resolves with the parts of other nodes. @throws Error when one is missing that must not be. */
	async #fromNodes(question: AnyQuestion, request: unknown): Promise<readonly unknown[]> {
		const { acrossNodes, name, deadlineMs, check, isOrder, isWhole } = question;
		const nodes = this.#parts.nodes?.() ?? null;
		if (nodes === null || acrossNodes === undefined || acrossNodes.when?.(request) === false) return [];
		const answers = await nodes.ask(name, request, deadlineMs * nodesDeadlineFactor);
		const problems: string[] = [];
		const parts = answers.flatMap((answer) => {
			if ("problem" in answer) {
				const mayBeAway = isOrder !== true || acrossNodes.returning === true;
				if ((isOrder === true || isWhole === true) && !(answer.isAway && mayBeAway)) problems.push(`${answer.node} (${answer.problem})`);
				return [];
			}
			try {
				return answer.parts.map(check);
			} catch (error) {
				problems.push(`${answer.node} (${(error as Error).message})`);
				return [];
			}
		});
		if (problems.length > 0) throw new Error(missed(question, problems.join(", ")));
		return parts;
	}

	/** @throws Error when a part is missing that must not be. */
	async #local(question: AnyQuestion, request: unknown): Promise<readonly unknown[]> {
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
		return parts.flatMap((part) => (part === null ? [] : [part.value]));
	}

	/** A process's part; null when it is missing. */
	async #part(
		question: AnyQuestion,
		process: Pick<AskedProcess, "name" | "request">,
		request: unknown,
	): Promise<{ readonly value: unknown } | null> {
		const { name, deadlineMs } = question;
		const counts = this.#missing.get(name)!;
		// Start at 0: without that sample, rates would miss the first increment.
		counts.set(process.name, counts.get(process.name) ?? 0);
		const key = `${name} ${process.name}`;
		try {
			const data = await withDeadline(process.request(name, request, deadlineMs), deadlineMs, `the ${name} of ${process.name}`);
			const value = question.check(data);
			this.#reported.delete(key);
			return { value };
		} catch (error) {
			// Late, gone, or invalid. The supervisor watches the process's health by its heartbeat.
			counts.set(process.name, counts.get(process.name)! + 1);
			if (!this.#reported.has(key)) this.#parts.log?.warn(`${consequence(question, process.name)}: ${(error as Error).message}`);
			this.#reported.add(key);
			return null;
		}
	}
}

type Settled<T> = { readonly value: T } | { readonly error: unknown };

function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
	return promise.then(
		(value) => ({ value }),
		(error: unknown) => ({ error }),
	);
}

/** Why an order, or a question that all must answer, fails. */
function missed({ name, isOrder }: AnyQuestion, processes: string): string {
	return isOrder === true ? `${processes} may not have carried out "${name}"` : `${processes} did not answer "${name}"`;
}

function consequence(question: AnyQuestion, process: string): string {
	if (question.isOrder === true) return missed(question, process);
	return question.isWhole === true
		? `${missed(question, process)}, so nobody gets an answer`
		: `the answer to "${question.name}" goes out without ${process}`;
}
