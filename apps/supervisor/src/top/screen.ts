/** ANSI codes. The alternate screen keeps the terminal's contents; each line is cleared to its end when it is redrawn. */
const enterScreen = "\u001b[?1049h\u001b[?25l";
const leaveScreen = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const clearLine = "\u001b[K";
const clearBelow = "\u001b[J";

/** The parts of a terminal's streams used here. */
export interface Terminal {
	readonly input: Pick<NodeJS.ReadStream, "isTTY" | "setRawMode" | "resume" | "pause" | "on" | "off">;
	readonly output: Pick<NodeJS.WriteStream, "write" | "columns" | "rows">;
}

/** A full-screen view that is redrawn in place. Always call `leave` at the end, also after errors. */
export class Screen {
	readonly #terminal: Terminal;
	readonly #onKey: (data: Buffer) => void;
	/** Resolves when the user quits with q, Esc or Ctrl-C. */
	readonly quit: Promise<void>;
	#left = false;

	constructor(terminal: Terminal) {
		this.#terminal = terminal;
		let quit!: () => void;
		this.quit = new Promise((resolve) => {
			quit = resolve;
		});
		this.#onKey = (data) => {
			const keys = data.toString("latin1");
			// A single Esc quits; Esc followed by more is an arrow or function key.
			if (keys === "q" || keys === "Q" || keys === "\u0003" || keys === "\u001b") quit();
		};
		const { input, output } = terminal;
		if (input.isTTY) {
			// Raw mode, so that keys arrive without Enter. Ctrl-C is then a key and not a signal.
			input.setRawMode(true);
			input.on("data", this.#onKey);
			input.resume();
		}
		output.write(enterScreen);
	}

	/** Draws the lines. Truncates what does not fit. */
	draw(lines: readonly string[]): void {
		const { output } = this.#terminal;
		// A terminal of unknown size reports 0.
		const columns = output.columns || 80;
		const rows = output.rows || 24;
		const visible = lines.slice(0, rows).map((line) => line.slice(0, columns) + clearLine);
		output.write(home + visible.join("\r\n") + clearBelow);
	}

	leave(): void {
		if (this.#left) return;
		this.#left = true;
		const { input, output } = this.#terminal;
		if (input.isTTY) {
			input.off("data", this.#onKey);
			input.setRawMode(false);
			input.pause();
		}
		output.write(leaveScreen);
	}
}
