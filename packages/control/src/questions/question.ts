/**
 * Different questions under way at once in a process; the next one is refused. The same for the process that collects the answers and for each
 * wait for another process: with a lower bound there, a healthy process's part would be missing. A scrape asks one.
 */
export const questionsMax = 64;

/**
 * Something that is asked of all processes of a cluster and whose parts are merged into one answer. Both sides know it by its name: a
 * process answers its part through `PartAnswers`; the supervisor, or the process itself where there is none, asks and merges through
 * `Questions`. Requests, parts and answers go through JSON.
 */
export interface Question<Request, Part, Answer> {
	/** Such as "metrics"; the label under which parts that are missing are counted. */
	readonly name: string;
	/** The processes that have a part; nobody = whoever merges knows the answer. */
	readonly asks: "everyProcess" | "shards" | "nobody";
	/** A process that has not answered by then is left out; an order fails then. */
	readonly deadlineMs: number;
	/** It makes the processes do something. So each request is carried out for itself, and one that a process may not have carried out fails. */
	readonly isOrder?: boolean;
	/** An answer without the part of a shard that serves would be wrong: there is none then. */
	readonly isWhole?: boolean;
	/** A part as a process sent it. @throws an Error that says what is wrong with it. */
	readonly check: (data: unknown) => Part;
	/** Only for the compiler. */
	readonly types?: { readonly request: Request; readonly answer: Answer };
}

/** How a process puts a question to all of them. Rejects when there is no answer in time. */
export type Ask = <Request, Part, Answer>(question: Question<Request, Part, Answer>, request: Request) => Promise<Answer>;
