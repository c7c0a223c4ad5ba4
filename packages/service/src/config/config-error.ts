import { StartupError } from "../startup-error.ts";

/** Wrong settings: one line for each, every line naming where the value came from and the mend. */
export class ConfigError extends StartupError {
	readonly lines: readonly string[];

	constructor(lines: readonly string[]) {
		super(lines.join("\n"), { exitStatus: 2 });
		this.name = "ConfigError";
		this.lines = lines;
	}
}
