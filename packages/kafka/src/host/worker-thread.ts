import { fileURLToPath } from "node:url";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import { Piscina } from "piscina";
import type { FromWorker, IngestTask, ToWorker } from "../ingest-messages.ts";

/**
 * One ingest worker on a separate thread: a single task that runs as long as the shard. A message stops it; `kill` ends the thread at once,
 * whatever it is doing.
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

	/** @param entry the worker, which the build puts beside this module; tests that run the sources name another. */
	static start(
		task: Omit<IngestTask, "port">,
		onMessage: (message: FromWorker) => void,
		entry = new URL("./ingest-worker.js", import.meta.url),
	): WorkerThread {
		// A task that never ends needs its messages between turns of its loop: without this piscina blocks the thread in Atomics.wait.
		const pool = new Piscina({ filename: fileURLToPath(entry), minThreads: 1, maxThreads: 1, atomics: "disabled" });
		const { port1, port2 } = new MessageChannel();
		port1.on("message", onMessage);
		// An error before the task has begun is an event here; without a listener it would end the process.
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

	/** Resolves when the task has ended: null, or the error that ended it. */
	get ended(): Promise<Error | null> {
		return this.#ended;
	}

	/** Resolves when the thread is gone. What it had published in the ring can still be read. */
	async kill(): Promise<void> {
		await this.#pool.destroy();
		this.#port.close();
	}
}
