import type { SessionAnswer, SessionRequest } from "@shardcast/selection";

/** Finds or assigns sessions. The answers are in the order of the requests, of which there are at most 500. */
export type FindSessions = (requests: readonly SessionRequest[]) => Promise<readonly SessionAnswer[]>;

interface SessionBatchesParts {
	readonly ask: FindSessions;
}

interface Waiting {
	readonly request: SessionRequest;
	readonly done: (answer: SessionAnswer) => void;
}

const batchMax = 500;
const waitingMax = 10_000;
/** Longest wait for a batch: Redis may hang for much longer before anybody knows, and clients want to connect. */
const answerMsMax = 1000;
const none: readonly SessionAnswer[] = [];

/**
 * Collects requests for sessions: one batch is under way, and those that come meanwhile are the next one. So thousands of clients that return at once cost
 * some questions. A request that finds no room, or whose batch fails or is not answered within a second, is answered with "unavailable": the client gets the chosen node.
 */
export class SessionBatches {
	readonly #parts: SessionBatchesParts;
	#waiting: Waiting[] = [];
	#isUnderWay = false;

	constructor(parts: SessionBatchesParts) {
		this.#parts = parts;
	}

	/** Never rejects. */
	ask(request: SessionRequest): Promise<SessionAnswer> {
		if (this.#waiting.length >= waitingMax) return Promise.resolve(unavailable(request));
		return new Promise((done) => {
			this.#waiting.push({ request, done });
			if (!this.#isUnderWay) void this.#send();
		});
	}

	async #send(): Promise<void> {
		this.#isUnderWay = true;
		// So that those of the same turn go together.
		await Promise.resolve();
		while (this.#waiting.length > 0) {
			const batch = this.#waiting.splice(0, batchMax);
			const requests = batch.map(({ request }) => request);
			const answers = await inTime(this.#parts.ask(requests)).catch(() => none);
			for (const [index, { request, done }] of batch.entries()) done(answers[index] ?? unavailable(request));
		}
		this.#isUnderWay = false;
	}
}

/** No answers when they do not come in time. */
function inTime(answers: Promise<readonly SessionAnswer[]>): Promise<readonly SessionAnswer[]> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<readonly SessionAnswer[]>((resolve) => {
		timer = setTimeout(() => resolve(none), answerMsMax);
	});
	return Promise.race([answers, late]).finally(() => clearTimeout(timer));
}

function unavailable({ node }: SessionRequest): SessionAnswer {
	return { node, outcome: "unavailable" };
}
