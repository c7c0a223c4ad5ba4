/** Signals this close together count as one: Ctrl-C reaches a program under npm twice, from the terminal and from npm. People are slower. */
const sameKeyMs = 500;

interface StopHandlers {
	/** Called on the first signal: stop in order. */
	readonly stop: (signal: NodeJS.Signals) => void;
	/** Called on each further signal: stop at once. */
	readonly force: (signal: NodeJS.Signals) => void;
	/** Returns milliseconds of a monotonic clock. */
	readonly nowMs?: () => number;
}

/** Handles SIGINT and SIGTERM: the first stops in order, the second at once. One per process. */
export class StopSignals {
	readonly #handlers: StopHandlers;
	readonly #nowMs: () => number;
	#first: { readonly signal: NodeJS.Signals; readonly atMs: number } | null = null;

	constructor(handlers: StopHandlers) {
		this.#handlers = handlers;
		this.#nowMs = handlers.nowMs ?? (() => performance.now());
	}

	/** Whether the first signal was received. */
	get stopping(): boolean {
		return this.#first !== null;
	}

	/** Installs the handlers for the rest of the process's life. */
	listen(): void {
		for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => this.handle(signal));
	}

	/** Acts as if the signal had been received. */
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
