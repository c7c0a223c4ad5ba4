import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import type { FromWorker, IngestTask, ToWorker } from "../ingest-messages.ts";

/**
 * An ingest worker on a separate thread: a single task that runs as long as the shard. Stop it with messages; `kill` ends the thread at
 * once, whatever it is doing.
 */
export class WorkerThread {
	readonly #pool: Piscina;
	readonly #port: MessagePort;
	readonly #ended: Promise<Error | null>;
	#over = false;

	private constructor(pool: Piscina, port: MessagePort, ended: Promise<Error | null>) {
		this.#pool = pool;
		this.#port = port;
		this.#ended = ended;
		void ended.then(() => {
			this.#over = true;
		});
	}

	/** @param entry the worker module, which the build puts next to this one. Tests that run the sources pass another. */
	static start(
		task: Omit<IngestTask, "port">,
		onMessage: (message: FromWorker) => void,
		entry = new URL("./ingest-worker.js", import.meta.url),
	): WorkerThread {
		// The task never ends and must receive messages between turns of its loop. By default piscina blocks the thread in Atomics.wait.
		const pool = new Piscina({ filename: fileURLToPath(entry), minThreads: 1, maxThreads: 1, atomics: "disabled" });
		const { port1, port2 } = new MessageChannel();
		port1.on("message", onMessage);
		// An error before the task starts is emitted as an event, which would end the process without a listener.
		const failed = new Promise<Error>((resolve) => pool.on("error", resolve));
		const ran = pool.run({ ...task, port: port2 }, { transferList: [port2] }).then(
			() => null,
			(error: unknown) => (error instanceof Error ? error : new Error(String(error))),
		);
		return new WorkerThread(pool, port1, Promise.race([ran, failed]));
	}

	/** False when the task has ended. */
	send(message: ToWorker): boolean {
		if (!this.#over) this.#port.postMessage(message);
		return !this.#over;
	}

	/** Resolves when the task has ended, with null or the error that ended it. */
	get ended(): Promise<Error | null> {
		return this.#ended;
	}

	/** Resolves when the thread is gone. The records in its ring can still be read. */
	async kill(): Promise<void> {
		await this.#pool.destroy();
		this.#port.close();
	}
}
