/**
 * Most different questions in progress in a process; further ones are refused. The same limit applies to the collecting process and to each wait
 * for another process: with a lower one there, the part of a healthy process could be missing. A scrape is one question.
 */
export const questionsMax = 64;

/**
 * A question to all processes of a cluster, whose parts are merged into one answer. Both sides identify it by its name: a process answers its part
 * through `PartAnswers`; the supervisor, or a process without one, asks and merges through `Questions`. Requests, parts and answers are sent as
 * JSON.
 */
export interface Question<Request, Part, Answer> {
	/** Such as "metrics". Also the label for counting missing parts. */
	readonly name: string;
	/** The processes that have a part; nobody = the merging process has the answer. */
	readonly asks: "everyProcess" | "shards" | "nobody";
	/** A process that has not answered by then is left out; an order fails. */
	readonly deadlineMs: number;
	/** It makes the processes do something. So requests are never shared, and one that a process may not have carried out fails. */
	readonly isOrder?: boolean;
	/** The question fails if the part of a serving shard is missing, since the answer would be wrong. */
	readonly isWhole?: boolean;
	/** It concerns the clients of all nodes, so the other nodes are asked for their parts, too. Absent = only this node. */
	readonly acrossNodes?: {
		/** Validates a request that another node has sent. @throws Error that says what is wrong with it. */
		readonly check: (data: unknown) => Request;
		/** Whether this request goes to the other nodes; absent = always. */
		readonly when?: (request: Request) => boolean;
		/** A node that is not connected to Redis carries the order out by itself when it is back, so the order does not fail. */
		readonly returning?: boolean;
	};
	/** Validates a part that a process has sent. @throws Error that says what is wrong with it. */
	readonly check: (data: unknown) => Part;
	/** Only for type inference. */
	readonly types?: { readonly request: Request; readonly answer: Answer };
}

/** Puts a question to all processes. Rejects when there is no answer in time. */
export type Ask = <Request, Part, Answer>(question: Question<Request, Part, Answer>, request: Request) => Promise<Answer>;
