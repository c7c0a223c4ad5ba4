import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { dieWithParent } from "@shardcast/native";
import type { Pace, ReaderResult } from "./bus-records.ts";

/** What a process of a bus bench does. */
export type Role = "hub" | "publish" | "read";

type ToProgram<Task> = { readonly type: "task"; readonly task: Task; readonly pace: Pace } | { readonly type: "go" };
type FromProgram = { readonly type: "ready" } | { readonly type: "result"; readonly result: ReaderResult };

const deadlineMs = 20_000;

/** The child's side: prepares when it gets its task, runs on a message from its parent, and ends with its parent. */
export async function bench<Task>(setUp: (task: Task, pace: Pace) => Promise<{ run(): Promise<unknown> }>): Promise<void> {
	dieWithParent();
	process.on("disconnect", () => process.exit(0));
	const [first] = (await once(process, "message")) as [ToProgram<Task>];
	if (first.type !== "task") throw new Error(`${first.type} came before the task`);
	const program = await setUp(first.task, first.pace);
	const go = once(process, "message");
	process.send!({ type: "ready" });
	await go;
	process.send!({ type: "result", result: (await program.run()) ?? null });
}

/** The bench's side of one program. */
export class BusProcess {
	readonly #child: ChildProcess;

	private constructor(child: ChildProcess) {
		this.#child = child;
	}

	/** Resolves when the program is ready to go. */
	static async start<Task>(file: string, task: Task, pace: Pace): Promise<BusProcess> {
		const process = new BusProcess(fork(join(import.meta.dirname, file)));
		process.#child.send({ type: "task", task, pace } satisfies ToProgram<Task>);
		await process.#message("ready");
		return process;
	}

	go(): void {
		this.#child.send({ type: "go" } satisfies ToProgram<never>);
	}

	get pid(): number {
		return this.#child.pid!;
	}

	async result(): Promise<ReaderResult> {
		const message = await this.#message("result");
		return (message as FromProgram & { type: "result" }).result;
	}

	async stop(): Promise<void> {
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		const exit = once(this.#child, "exit");
		this.#child.kill("SIGKILL");
		await exit;
	}

	#message(type: FromProgram["type"]): Promise<FromProgram> {
		return new Promise((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error(`a bench process did not come to "${type}" in ${deadlineMs} ms`)), deadlineMs);
			this.#child.once("message", (message: FromProgram) => {
				clearTimeout(timer);
				if (message.type === type) resolve(message);
				else reject(new Error(`a bench process sent "${message.type}" instead of "${type}"`));
			});
			this.#child.once("exit", (status, signal) => {
				clearTimeout(timer);
				reject(new Error(`a bench process has left: ${status ?? signal}`));
			});
		});
	}
}
