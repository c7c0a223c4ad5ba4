import type { Question } from "./question.ts";

type AnswerPart = (request: unknown) => unknown;

/** A process's answers to questions. Features register them here; the process's link to the supervisor, or `Questions`, calls them. */
export class PartAnswers {
	readonly #answers = new Map<string, AnswerPart>();

	/** @throws Error when the question already has an answer. */
	add<Request, Part, Answer>(question: Question<Request, Part, Answer>, answer: (request: Request) => Part | Promise<Part>): void {
		if (this.#answers.has(question.name)) throw new Error(`the question "${question.name}" already has an answer`);
		this.#answers.set(question.name, answer as AnswerPart);
	}

	has(name: string): boolean {
		return this.#answers.has(name);
	}

	/** Rejects when this process has no answer, or the answer fails. */
	async answer(name: string, request: unknown): Promise<unknown> {
		const answer = this.#answers.get(name);
		if (answer === undefined) throw new Error(`this process has no answer to the question "${name}"`);
		return answer(request);
	}
}
