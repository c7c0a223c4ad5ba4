/** Ctrl-C in a terminal reaches a program under npm twice, from the terminal and from npm. People take longer. */
const sameKeyMs = 500;

export interface StopHandlers {
	/** The first signal: stop in order. */
	readonly stop: (signal: NodeJS.Signals) => void;
	/** Each further one: force it. */
	readonly force: (signal: NodeJS.Signals) => void;
	/** Milliseconds of a clock that only goes forward. */
	readonly nowMs?: () => number;
}

/** SIGINT and SIGTERM: the first stops, the second forces. One per process. */
export class StopSignals {
	readonly #handlers: StopHandlers;
	readonly #nowMs: () => number;
	#first: { readonly signal: NodeJS.Signals; readonly atMs: number } | null = null;

	constructor(handlers: StopHandlers) {
		this.#handlers = handlers;
		this.#nowMs = handlers.nowMs ?? (() => performance.now());
	}

	/** Whether the first one has come. */
	get stopping(): boolean {
		return this.#first !== null;
	}

	/** From now on for the rest of the process's life. */
	listen(): void {
		for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => this.handle(signal));
	}

	/** As if the signal had come. */
	handle(signal: NodeJS.Signals): void {
		const first = this.#first;
		if (first === null) {
			this.#first = { signal, atMs: this.#nowMs() };
			this.#handlers.stop(signal);
			return;
		}
		const isSameKey = signal === "SIGINT" && first.signal === "SIGINT" && this.#nowMs() - first.atMs < sameKeyMs;
		if (!isSameKey) this.#handlers.force(signal);
	}
}
