export interface StatusLineParts {
	readonly connections: () => number;
	/** Messages taken in since the start. */
	readonly messages: () => number;
	readonly print: (line: string) => void;
}

const everyMs = 2000;

/** `[<time>] Conns: N, Msgs: M` every two seconds. */
export class StatusLine {
	readonly #parts: StatusLineParts;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: StatusLineParts) {
		this.#parts = parts;
	}

	start(): void {
		this.#timer ??= setInterval(() => {
			const { connections, messages, print } = this.#parts;
			print(`[${new Date().toISOString()}] Conns: ${connections()}, Msgs: ${messages()}`);
		}, everyMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}
}
