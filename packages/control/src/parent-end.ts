import type { ChildProcess } from "node:child_process";
import { PendingReplies, replyOf } from "./asking/pending-replies.ts";
import type { FromChild, ToChild } from "./messages.ts";

/** Messages that a child sends by itself, without the requests and replies that the link handles. */
export type ChildReport = Exclude<FromChild, { type: "reply" | "ask" }>;

/** The supervisor's end of the fork IPC, one per child. */
export class ChildLink {
	readonly #child: ChildProcess;
	readonly #requests = new PendingReplies("a child");

	/** @param answer returns the answer to a child's `ask`, see `Questions`. */
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

	/** False when the child is gone; its exit event has the details. */
	send(message: ToChild): boolean {
		if (!this.#child.connected) return false;
		// Without a callback, the process would throw EPIPE if the child dies right now.
		this.#child.send(message, () => {});
		return true;
	}

	/** Rejects when the child is gone, has no answer, misses the deadline, or when too many requests are waiting. */
	request(question: string, request: unknown, deadlineMs: number): Promise<unknown> {
		return this.#requests.wait(question, deadlineMs, (id) => this.send({ type: "request", id, question, request }));
	}
}
