import { backoffMs } from "@shardcast/process";
import { channelHashKey } from "@shardcast/wire";
import type { IngestMemory } from "../ingest-memory.ts";
import type { FromWorker, ToWorker } from "../ingest-messages.ts";
import type { IngestOptions } from "../ingest-options.ts";
import type { IngestLog } from "./ingest-log.ts";
import { RouteWatch } from "./route-watch.ts";
import { WorkerThread } from "./worker-thread.ts";

/** A message of the worker for the ingest. */
export type WorkerMessage = Exclude<FromWorker, { readonly type: "halted" }>;

interface WorkerHostParts {
	readonly options: IngestOptions;
	readonly memory: IngestMemory;
	/** The worker's compiled module, if this code runs from source. */
	readonly entry?: URL;
	readonly log: Pick<IngestLog, "warn">;
	/** True if this shard writes dead letters. */
	readonly writesDeadLetters: () => boolean;
	readonly onMessage: (message: WorkerMessage) => void;
	/** Called when a worker has started. */
	readonly onStart: () => void;
	/** Called before the worker is killed and replaced. */
	readonly onReplace: () => void;
	/** Called when it is gone. The next one starts after the promise has resolved. */
	readonly onGone: () => Promise<void>;
}

const backoffMsMax = 10_000;
/** Most poisoned records remembered across restarts. */
const poisonedMax = 1000;

/**
 * The worker of an ingest. Starts it, and replaces it if it ends or its route function does not return. The next worker skips the record of
 * a route call that did not return. **One per ingest, on its loop.**
 */
export class WorkerHost {
	readonly #parts: WorkerHostParts;
	readonly #watch: RouteWatch;
	#thread: WorkerThread | null = null;
	#onHalted: (() => void) | null = null;
	#poisoned: { row: number; offset: number }[] = [];
	#replacing = false;
	#stopping = false;
	/** Restarts since a worker last found its topics. */
	#failures = 0;

	constructor(parts: WorkerHostParts) {
		this.#parts = parts;
		this.#watch = new RouteWatch(parts.memory, parts.options.routeBudgetMs, () => {
			if (!this.#replacing && !this.#stopping) void this.#replace("the route function did not return");
		});
	}

	/** True after the first start. */
	get started(): boolean {
		return this.#thread !== null;
	}

	/** True while one worker is gone and the next has not started. */
	get replacing(): boolean {
		return this.#replacing;
	}

	/** Resolves when the current worker has ended. */
	get ended(): Promise<unknown> {
		return this.#thread?.ended ?? Promise.resolve();
	}

	start(): void {
		const { options, memory, entry, writesDeadLetters, onMessage, onStart } = this.#parts;
		const thread = WorkerThread.start(
			{
				options,
				memory: memory.buffer,
				rowsMax: memory.rowsMax,
				channelHashKey: channelHashKey(),
				writesDeadLetters: writesDeadLetters(),
				poisoned: this.#poisoned,
			},
			(message) => {
				if (message.type === "halted") this.#onHalted?.();
				else onMessage(message);
			},
			entry,
		);
		this.#thread = thread;
		onStart();
		if (options.routePath !== null) this.#watch.start();
		void thread.ended.then((error) => {
			if (this.#thread === thread && !this.#stopping && !this.#replacing) void this.#replace(error?.message ?? "it ended by itself");
		});
	}

	/** @returns false when there is no worker or it has ended. */
	send(message: ToWorker): boolean {
		return this.#thread?.send(message) === true;
	}

	/** The worker has found its topics, so the next restart waits only briefly. */
	foundTopics(): void {
		this.#failures = 0;
	}

	/** The worker is not replaced any more. */
	endRestarts(): void {
		this.#stopping = true;
		this.#watch.stop();
	}

	/** Makes the worker stop reading. Resolves when it has, or has ended. */
	halt(): Promise<unknown> {
		const halted = new Promise<void>((resolve) => {
			this.#onHalted = resolve;
			this.send({ type: "halt" });
		});
		return Promise.race([this.ended, halted]);
	}

	/** Resolves when the thread is gone. */
	async kill(): Promise<void> {
		await this.#thread?.kill();
	}

	async #replace(why: string): Promise<void> {
		const { memory, log, onReplace, onGone } = this.#parts;
		this.#replacing = true;
		const pauseMs = backoffMs(this.#failures++, backoffMsMax);
		this.#watch.stop();
		onReplace();
		log.warn({ why }, "kafka: the ingest worker is restarted");
		memory.host.add("workerRestarts");
		await this.kill();
		this.#countLostLetters();
		const hung = memory.routeCall() === null ? null : memory.routedRecord();
		if (hung !== null) {
			memory.forgetRouteCall();
			this.#poisoned = [...this.#poisoned, hung].slice(-poisonedMax);
		}
		await onGone();
		if (this.#stopping) return;
		await new Promise((resolve) => setTimeout(resolve, pauseMs));
		this.#replacing = false;
		if (!this.#stopping) this.start();
	}

	/** Dead letters that Kafka had not acknowledged died with the worker. */
	#countLostLetters(): void {
		const { worker } = this.#parts.memory;
		worker.add("deadLettersLost", worker.get("deadLettersWaiting"));
		worker.set("deadLettersWaiting", 0);
	}
}
