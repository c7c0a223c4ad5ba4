import { choice, toggle } from "../../kinds.ts";
import { everywhere, option } from "../../option.ts";

/** Section `log`. */
export const logOptions = {
	logLevel: option({
		flag: "log-level",
		key: "level",
		kind: choice(["debug", "info", "warn", "error", "silent"]),
		default: "info",
		commands: everywhere,
		live: true,
		help: "Minimum level of log lines that are written.",
	}),
	logFormat: option({
		flag: "log-format",
		key: "format",
		kind: choice(["auto", "json", "pretty"]),
		default: "auto",
		commands: everywhere,
		help: "Format of log lines; auto = pretty on a terminal, json elsewhere. With pretty, single prints a status line every two seconds.",
	}),
	debug: option({
		flag: "debug",
		key: "debug",
		kind: toggle(),
		default: false,
		commands: everywhere,
		live: true,
		help: "Log at level debug.",
	}),
} as const;
