import type { ChildProcess } from "node:child_process";
import type { FromChild, PartQuestion, ToChild, WholeQuestion } from "./messages.ts";
import { PendingReplies } from "./pending-replies.ts";

/** What a child may say on its own account: everything but its side of questions and answers, which the link sees to. */
export type ChildReport = Exclude<FromChild, { type: "reply" | "ask" }>;

/** The supervisor's end of the fork IPC, one per child. */
export class ChildLink {
	readonly #child: ChildProcess;
	readonly #requests = new PendingReplies("a child");

	/**
	 * @param answer makes the answer to a child's `ask`; while it cannot (it rejects, or there is none) the child's own
	 * deadline ends the waiting.
	 */
	constructor(child: ChildProcess, onMessage: (message: ChildReport) => void, answer?: (question: WholeQuestion) => Promise<unknown>) {
		this.#child = child;
		child.on("message", (raw) => {
			const message = raw as FromChild;
			switch (message.type) {
				case "reply":
					return this.#requests.settle(message.id, message.data);
				case "ask":
					answer?.(message.question).then(
						(data) => this.send({ type: "answer", id: message.id, data }),
						() => undefined,
					);
					return;
				default:
					return onMessage(message);
			}
		});
	}

	/** False when the child is gone; its exit event says the rest. */
	send(message: ToChild): boolean {
		if (!this.#child.connected) return false;
		// Without a callback, a child that dies at this moment would make the process throw EPIPE.
		this.#child.send(message, () => {});
		return true;
	}

	/** Rejects when the child is gone, does not answer within the deadline, or too many requests are waiting. */
	request(question: PartQuestion, deadlineMs: number): Promise<unknown> {
		return this.#requests.wait(question.what, deadlineMs, (id) => this.send({ type: "request", id, question }));
	}
}
