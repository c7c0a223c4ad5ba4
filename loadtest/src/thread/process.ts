import { fork } from "node:child_process";
import type { ProgressCounters } from "../report/progress-counters.ts";
import type { ReplyMessage, ThreadTask } from "./protocol.ts";

/** What a receiving process tells: what it has counted, from time to time, and answers to calls. */
export type ProcessMessage = { readonly row: readonly number[] } | { readonly reply: ReplyMessage };

/**
 * Runs a task in a child process instead of a thread, because each process may have only so many files open. Calls and answers pass
 * through the task's port; progress comes a few milliseconds late. Settles when the child has ended: it ends after `close`, and when this
 * process dies.
 *
 * @param program the built process-main.
 */
export function runInProcess(program: string, task: ThreadTask, progress: ProgressCounters): Promise<void> {
	const { port, progress: _shared, ...sent } = task;
	const child = fork(program, [], { serialization: "advanced" });
	// A child that has ended takes no more calls; its exit is told below.
	const send = (message: unknown): void => void child.send(message as object, () => {});
	send({ ...sent, threads: progress.threads });
	port.on("message", send);
	child.on("message", (message: ProcessMessage) => {
		if ("row" in message) progress.set(task.thread, message.row);
		else port.postMessage(message.reply);
	});
	return new Promise((resolve, reject) => {
		child.once("error", reject);
		child.once("exit", (code, signal) => {
			port.close();
			if (code === 0) resolve();
			else reject(new Error(`a receiving process of the load generator ended with ${signal ?? `status ${code}`}`));
		});
	});
}
