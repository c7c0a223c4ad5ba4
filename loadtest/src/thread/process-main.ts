import { MessageChannel } from "node:worker_threads";
import { ProgressCounters } from "../report/progress-counters.ts";
import serve from "./main.ts";
import type { ProcessMessage } from "./process.ts";
import type { CallMessage, ReplyMessage, ThreadTask } from "./protocol.ts";

/** A receiver of the load generator as a process; started by `runInProcess`. */
const progressEveryMs = 10;

type ProcessTask = Omit<ThreadTask, "port" | "progress"> & { readonly threads: number };

const tell = (message: ProcessMessage): void => void process.send?.(message, undefined, undefined, () => {});

// Ctrl-C reaches the whole group; the main process then says what to do.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
process.once("message", async (task: ProcessTask) => {
	const progress = new ProgressCounters({ threads: task.threads });
	const { port1, port2 } = new MessageChannel();
	process.on("message", (call: CallMessage) => port1.postMessage(call));
	process.once("disconnect", () => process.exit(0));
	port1.on("message", (reply: ReplyMessage) => tell({ reply }));
	let last = "";
	const timer = setInterval(() => {
		const row = progress.row(task.thread);
		const now = row.join();
		if (now === last) return;
		last = now;
		tell({ row });
	}, progressEveryMs);
	await serve({ ...task, progress: progress.buffer, port: port2 });
	clearInterval(timer);
	process.exit(0);
});
