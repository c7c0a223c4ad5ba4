/** Writes a line to the shard's log, since the worker has none. */
type WriteLine = (level: "info" | "warn", fields: object, message: string) => void;

const linesPerWindow = 5;
const windowMs = 10_000;

/**
 * Logs problems at a bounded rate: at most five lines of each kind in ten seconds, then the number of lines left out. Counters elsewhere
 * include every problem.
 */
export class Reporter {
	readonly #write: WriteLine;
	readonly #nowMs: () => number;
	readonly #windows = new Map<string, { beganMs: number; lines: number; suppressed: number }>();

	constructor(write: WriteLine, nowMs: () => number = () => performance.now()) {
		this.#write = write;
		this.#nowMs = nowMs;
	}

	/** `kind` must be from a fixed set: each has its own rate window. Pass a function for an expensive message; it is called only if the line is written. */
	warn(kind: string, message: string | (() => string), fields: object = {}): void {
		const nowMs = this.#nowMs();
		let window = this.#windows.get(kind);
		if (window === undefined || nowMs - window.beganMs >= windowMs) {
			const suppressed = window?.suppressed ?? 0;
			window = { beganMs: nowMs, lines: 0, suppressed: 0 };
			this.#windows.set(kind, window);
			if (suppressed > 0) this.#write("warn", { kind, suppressed }, `kafka: ${suppressed} more lines of this kind were left out`);
		}
		if (window.lines++ < linesPerWindow)
			this.#write("warn", { kind, ...fields }, `kafka: ${typeof message === "string" ? message : message()}`);
		else window.suppressed++;
	}

	info(message: string, fields: object = {}): void {
		this.#write("info", fields, `kafka: ${message}`);
	}
}
