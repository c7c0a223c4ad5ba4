import { choice } from "./option.ts";

/** What is written to stderr. */
export const logOptions = {
	logLevel: choice({
		flag: "log-level",
		default: "info",
		choices: ["debug", "info", "warn", "error", "silent"],
		live: true,
		help: "Least serious log lines that are written.",
	}),
	logFormat: choice({
		flag: "log-format",
		default: "auto",
		choices: ["auto", "json", "pretty"],
		help: "Shape of log lines; auto = pretty on a terminal, json elsewhere. With pretty, single prints a status line every two seconds.",
	}),
} as const;
