import { createRequire } from "node:module";
import { Writable } from "node:stream";
import type { pino as Pino } from "pino";
import type pretty from "pino-pretty";

const require = createRequire(import.meta.url);
/** Not by `import`, which reads the sources of a CommonJS library once more, to find out what they export: a fifth of what loading it takes. */
const { pino } = require("pino") as { readonly pino: typeof Pino };
/** Loaded only for text output: loading it takes a twentieth of a process's start, which services with JSON lines save. */
const prettyPrinter = (): typeof pretty => require("pino-pretty");

type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
type LogFormat = "auto" | "json" | "pretty";

const waitingBytesMax = 1_048_576;

interface LogMethod {
	(message: string): void;
	(fields: object, message: string): void;
}

/** The log interface of all code in shardcast: `fields` first, then one sentence. */
export interface Log {
	readonly debug: LogMethod;
	readonly info: LogMethod;
	readonly warn: LogMethod;
	readonly error: LogMethod;
	level: string;
	child(fields: object): Log;
}

/** Format of log lines; `auto` = pretty on a terminal, JSON elsewhere. */
export function shapeOf(format: LogFormat): Exclude<LogFormat, "auto"> {
	if (format !== "auto") return format;
	return process.stderr.isTTY ? "pretty" : "json";
}

/**
 * Log lines go to stderr, since stdout is for the output of commands. They are written synchronously, so that the last line
 * before a crash is not lost; hot paths count instead of logging.
 */
export function createLog(options: { name: string; level: LogLevel; format: LogFormat }): Log {
	const format = shapeOf(options.format);
	const stderr = standardError();
	const destination =
		format === "pretty"
			? prettyPrinter()({
					destination: new Writable({ decodeStrings: false, write: (line, _, done) => done(void stderr.write(line)) }),
					colorize: process.stderr.isTTY,
					translateTime: "SYS:HH:MM:ss.l",
					ignore: "pid,hostname",
					singleLine: true,
				})
			: stderr;
	return pino(
		{
			name: options.name,
			level: options.level,
			base: { pid: process.pid },
			timestamp: pino.stdTimeFunctions.isoTime,
			// pino alone prints an Error as {}, because it has no enumerable properties.
			serializers: { error: readableError },
			formatters: { level: (label) => ({ level: label }) },
		},
		destination,
	);
}

/** A program may throw anything, even a value that throws when it is read: a getter, a revoked proxy. Logging it must not throw. */
function readableError(error: Error): unknown {
	try {
		const shown: unknown = pino.stdSerializers.err(error);
		// Reads the value as the log line will.
		JSON.stringify(shown);
		return shown;
	} catch {
		return "a thrown value that cannot be read";
	}
}

/**
 * If the terminal is gone (EIO) or the reader has left (EPIPE), lines are lost, but the process continues: it has clients to close. Lines that
 * can't be written wait, up to a bound; further ones are dropped.
 */
function standardError(): ReturnType<typeof Pino.destination> {
	const stderr = pino.destination({ dest: 2, sync: true, maxLength: waitingBytesMax });
	stderr.on("error", () => {});
	return stderr;
}

let silent: Log | undefined;

/** For tests and library use: writes nothing. A child, since to create a logger costs much more. */
export function silentLog(): Log {
	silent ??= pino({ level: "silent" });
	return silent.child({});
}
