import type { ChildProcess } from "node:child_process";
import type { FromChild, ToChild } from "./messages.ts";
import { PendingReplies, replyOf } from "./questions/pending-replies.ts";

/** What a child may say on its own account: everything but its side of questions and answers, which the link sees to. */
export type ChildReport = Exclude<FromChild, { type: "reply" | "ask" }>;

/** The supervisor's end of the fork IPC, one per child. */
export class ChildLink {
	readonly #child: ChildProcess;
	readonly #requests = new PendingReplies("a child");

	/** @param answer makes the answer to a child's `ask`, see `Questions`. */
	constructor(
		child: ChildProcess,
		onMessage: (message: ChildReport) => void,
		answer: (question: string, request: unknown) => Promise<unknown>,
	) {
		this.#child = child;
		child.once("disconnect", () => this.#requests.gone());
		child.on("message", (raw) => {
			const message = raw as FromChild;
			switch (message.type) {
				case "reply":
					return this.#requests.settle(message.id, message.reply);
				case "ask":
					void replyOf(answer(message.question, message.request)).then((reply) => this.send({ type: "answer", id: message.id, reply }));
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

	/** Rejects when the child is gone, has no answer or none within the deadline, or too many requests are waiting. */
	request(question: string, request: unknown, deadlineMs: number): Promise<unknown> {
		return this.#requests.wait(question, deadlineMs, (id) => this.send({ type: "request", id, question, request }));
	}
}
