/** ANSI: the alternate screen keeps what was on the terminal before; each line is cleared to its end as it is drawn over. */
const enterScreen = "\u001b[?1049h\u001b[?25l";
const leaveScreen = "\u001b[?25h\u001b[?1049l";
const home = "\u001b[H";
const clearLine = "\u001b[K";
const clearBelow = "\u001b[J";

/** The two streams of a terminal, as far as they are needed here. */
export interface Terminal {
	readonly input: Pick<NodeJS.ReadStream, "isTTY" | "setRawMode" | "resume" | "pause" | "on" | "off">;
	readonly output: Pick<NodeJS.WriteStream, "write" | "columns" | "rows">;
}

/** A full-screen view that is drawn over in place. `leave` must be called, whatever happens. */
export class Screen {
	readonly #terminal: Terminal;
	readonly #onKey: (data: Buffer) => void;
	/** Resolves when the user wants to leave: q, Esc or Ctrl-C. */
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
			// A lone Esc leaves; Esc with more behind it is an arrow or a function key.
			if (keys === "q" || keys === "Q" || keys === "\u0003" || keys === "\u001b") quit();
		};
		const { input, output } = terminal;
		if (input.isTTY) {
			// Raw, so that keys come without Enter; Ctrl-C then comes as a key and not as a signal.
			input.setRawMode(true);
			input.on("data", this.#onKey);
			input.resume();
		}
		output.write(enterScreen);
	}

	/** Cuts what does not fit. */
	draw(lines: readonly string[]): void {
		const { output } = this.#terminal;
		// A terminal that does not know its size says 0.
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
