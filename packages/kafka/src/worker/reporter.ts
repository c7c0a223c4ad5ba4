/** What the reporter says, and where: the worker has no log; its lines go through the shard's. */
export type WriteLine = (level: "info" | "warn", fields: object, message: string) => void;

const linesPerWindow = 5;
const windowMs = 10_000;

/**
 * Says what goes wrong, at a bounded rate: of each kind five lines in ten seconds, then only how many were left out. Every
 * single one is counted elsewhere.
 */
export class Reporter {
	readonly #write: WriteLine;
	readonly #nowMs: () => number;
	readonly #windows = new Map<string, { beganMs: number; lines: number; suppressed: number }>();

	constructor(write: WriteLine, nowMs: () => number = () => performance.now()) {
		this.#write = write;
		this.#nowMs = nowMs;
	}

	/** `kind` is one of a fixed set: a window is kept for each. A message that takes time to make is made only if it is written. */
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
