import type { MessagePort } from "node:worker_threads";
import type { CallMessage, Disconnection, ReplyMessage, ThreadCalls } from "./protocol.ts";

type AnsweredCall = Exclude<keyof ThreadCalls, "close">;

/** The main thread's end of one thread: calls it, one call after the other. */
export class RemoteThread {
	readonly #port: MessagePort;
	readonly #task: Promise<void>;
	/** Rejects when the thread ends before `close`. */
	readonly #broken: Promise<never>;

	/** `task` settles when the thread has closed. */
	constructor(port: MessagePort, task: Promise<void>) {
		this.#port = port;
		this.#task = task;
		this.#broken = task.then(() => {
			throw new Error("a thread of the load generator ended early");
		});
		this.#broken.catch(() => {}); // told to whoever calls next
	}

	call<Name extends AnsweredCall>(
		call: Name,
		...[argument]: Parameters<ThreadCalls[Name]>
	): Promise<Awaited<ReturnType<ThreadCalls[Name]>>> {
		type Value = Awaited<ReturnType<ThreadCalls[Name]>>;
		const reply = new Promise<Value>((resolve, reject) => {
			this.#port.once("message", (message: ReplyMessage) => {
				if ("error" in message) reject(new Error(message.error));
				else resolve(message.value as Value);
			});
			this.#port.postMessage({ call, argument } satisfies CallMessage);
		});
		return Promise.race([reply, this.#broken]);
	}

	/** Closes all connections and ends the thread's task. */
	async close(argument: Disconnection): Promise<void> {
		this.#port.postMessage({ call: "close", argument } satisfies CallMessage);
		await this.#task;
		this.#port.close();
	}
}
