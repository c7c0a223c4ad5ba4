import type { Question } from "./question.ts";

type AnswerPart = (request: unknown) => unknown;

/** What one process has to say to questions. Its parts register themselves; the process's link to the supervisor, or `Questions`, asks. */
export class PartAnswers {
	readonly #answers = new Map<string, AnswerPart>();

	/** @throws when the question has an answer already. */
	add<Request, Part, Answer>(question: Question<Request, Part, Answer>, answer: (request: Request) => Part | Promise<Part>): void {
		if (this.#answers.has(question.name)) throw new Error(`the question "${question.name}" has an answer already`);
		this.#answers.set(question.name, answer as AnswerPart);
	}

	has(name: string): boolean {
		return this.#answers.has(name);
	}

	/** Rejects when this process has no answer, or the answer fails. */
	async answer(name: string, request: unknown): Promise<unknown> {
		const answer = this.#answers.get(name);
		if (answer === undefined) throw new Error(`there is no answer to the question "${name}" here`);
		return answer(request);
	}
}
