interface StatusLineParts {
	readonly connections: () => number;
	/** Returns the number of messages accepted since the start. */
	readonly messages: () => number;
	readonly print: (line: string) => void;
	/** Called when `print` throws, or its promise rejects. */
	readonly onError: (error: unknown) => void;
}

const everyMs = 2000;

/** Prints `[<time>] Conns: N, Msgs: M` every two seconds. */
export class StatusLine {
	readonly #parts: StatusLineParts;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: StatusLineParts) {
		this.#parts = parts;
	}

	start(): void {
		this.#timer ??= setInterval(() => void this.#print(), everyMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	/** Never rejects: `print` belongs to the program, and its failure must not end the process. */
	async #print(): Promise<void> {
		const { connections, messages, print, onError } = this.#parts;
		try {
			await print(`[${new Date().toISOString()}] Conns: ${connections()}, Msgs: ${messages()}`);
		} catch (error) {
			onError(error);
		}
	}
}
