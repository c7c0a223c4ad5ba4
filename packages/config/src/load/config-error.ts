import { StartupError } from "@shardcast/process";

/** For a wrong file, a line for each of its keys would not help. */
export const linesMax = 20;

/** Wrong options: one line for each, every line naming where the value came from and the fix. */
export class ConfigError extends StartupError {
	readonly lines: readonly string[];

	constructor(lines: readonly string[]) {
		const shown = lines.length > linesMax ? [...lines.slice(0, linesMax), `and ${lines.length - linesMax} more`] : lines;
		super(shown.join("\n"), { exitStatus: 2 });
		this.name = "ConfigError";
		this.lines = shown;
	}
}
