import type { MessagePort } from "node:worker_threads";
import type { IntervalPart } from "./interval-recorder.ts";
import type { CallMessage, Disconnection, ReplyMessage, ThreadCalls } from "./protocol.ts";

type AnsweredCall = Exclude<keyof ThreadCalls, "close">;
type Answer = Exclude<ReplyMessage, { readonly interval: IntervalPart }>;

/** The main thread's end of one thread: calls it, one call after the other. */
export class RemoteThread {
	readonly #port: MessagePort;
	readonly #task: Promise<void>;
	/** Rejects when the thread ends before `close`. */
	readonly #broken: Promise<never>;
	#answered: (answer: Answer) => void = () => {};

	/** `task` settles when the thread has closed. @param onInterval gets what the thread saw, while a load with a clock is measured. */
	constructor(port: MessagePort, task: Promise<void>, onInterval: (part: IntervalPart) => void) {
		this.#port = port;
		this.#task = task;
		this.#broken = task.then(() => {
			throw new Error("a thread of the load generator ended early");
		});
		this.#broken.catch(() => {}); // told to whoever calls next
		port.on("message", (message: ReplyMessage) => {
			if ("interval" in message) onInterval(message.interval);
			else this.#answered(message);
		});
	}

	call<Name extends AnsweredCall>(
		call: Name,
		...[argument]: Parameters<ThreadCalls[Name]>
	): Promise<Awaited<ReturnType<ThreadCalls[Name]>>> {
		type Value = Awaited<ReturnType<ThreadCalls[Name]>>;
		const reply = new Promise<Value>((resolve, reject) => {
			this.#answered = (answer) => {
				if ("error" in answer) reject(new Error(answer.error));
				else resolve(answer.value as Value);
			};
			this.#port.postMessage({ call, argument } satisfies CallMessage);
		});
		return Promise.race([reply, this.#broken]);
	}

	/** Ends a ramp, a load or stages early: the call that is under way answers soon. */
	halt(): void {
		this.#port.postMessage({ call: "halt" } satisfies CallMessage);
	}

	/** Closes all connections and ends the thread's task. */
	async close(argument: Disconnection): Promise<void> {
		this.#port.postMessage({ call: "close", argument } satisfies CallMessage);
		await this.#task;
		this.#port.close();
	}
}
