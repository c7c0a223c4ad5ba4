import { number } from "./table.ts";

/** Where progress goes: process.stderr, or a test's own. */
interface ProgressOutput {
	readonly isTTY?: boolean;
	write(text: string): unknown;
}

export interface Phase {
	readonly name: string;
	readonly total: number;
	readonly unit: string;
	readonly done: () => number;
}

const barWidth = 30;
const barEveryMs = 200;
const lineEveryMs = 5_000;

/** Shows how far a phase is: a bar that is drawn over and over on a terminal, a line now and then elsewhere. */
export class ProgressView {
	readonly #output: ProgressOutput;
	#timer: NodeJS.Timeout | undefined;
	#phase: Phase | null = null;
	/** The last plain line, which is not repeated. */
	#shown = "";

	constructor(output: ProgressOutput) {
		this.#output = output;
	}

	/** Runs `work` with its progress on show. */
	async during<T>(phase: Phase, work: () => Promise<T>): Promise<T> {
		this.#phase = phase;
		this.#show();
		this.#timer = setInterval(() => this.#show(), this.#output.isTTY ? barEveryMs : lineEveryMs);
		try {
			return await work();
		} finally {
			this.stop();
		}
	}

	/** Ends the phase's line. */
	stop(): void {
		clearInterval(this.#timer);
		if (this.#phase === null) return;
		this.#show();
		if (this.#output.isTTY) this.#output.write("\n");
		this.#phase = null;
	}

	#show(): void {
		const { name, total, unit, done } = this.#phase!;
		const now = done();
		const share = total > 0 ? Math.min(1, now / total) : 1;
		const text = `${name.padEnd(8)} ${number(now)} of ${number(total)} ${unit}`;
		if (!this.#output.isTTY) {
			if (text !== this.#shown) this.#output.write(`${text}\n`);
			this.#shown = text;
			return;
		}
		const filled = Math.round(share * barWidth);
		this.#output.write(`\r\x1b[K${name.padEnd(8)} ${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${text.slice(9)}`);
	}
}
