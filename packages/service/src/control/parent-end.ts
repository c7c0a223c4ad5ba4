import type { ChildProcess } from "node:child_process";
import { withDeadline } from "../deadline.ts";
import type { FromChild, ToChild } from "./messages.ts";

/** Requests that may wait for an answer at once; more are refused. A supervisor asks once per scrape. */
const pendingMax = 16;

/** The supervisor's end of the fork IPC, one per child. */
export class ChildLink {
	readonly #child: ChildProcess;
	readonly #pending = new Map<number, (data: unknown) => void>();
	#nextId = 1;

	/** @param onMessage gets everything but the replies to `request`. */
	constructor(child: ChildProcess, onMessage: (message: Exclude<FromChild, { type: "reply" }>) => void) {
		this.#child = child;
		child.on("message", (raw) => {
			const message = raw as FromChild;
			if (message.type !== "reply") return onMessage(message);
			this.#pending.get(message.id)?.(message.data);
			this.#pending.delete(message.id);
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
	async request(what: "metrics", deadlineMs: number): Promise<unknown> {
		if (this.#pending.size >= pendingMax) throw new Error(`${pendingMax} requests are waiting for this child already`);
		const id = this.#nextId++;
		const reply = new Promise<unknown>((resolve) => this.#pending.set(id, resolve));
		try {
			if (!this.send({ type: "request", id, what })) throw new Error("the child is gone");
			return await withDeadline(reply, deadlineMs, `the ${what} of a child`);
		} finally {
			this.#pending.delete(id);
		}
	}
}
