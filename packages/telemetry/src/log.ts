import { createRequire } from "node:module";
import { Writable } from "node:stream";
import { pino } from "pino";
import type pretty from "pino-pretty";

/** Loaded where somebody reads text: in services, whose lines are JSON, it took a twentieth of each process's start. */
const prettyPrinter = (): typeof pretty => createRequire(import.meta.url)("pino-pretty");

type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
type LogFormat = "auto" | "json" | "pretty";

const waitingBytesMax = 1_048_576;

interface LogMethod {
	(message: string): void;
	(fields: object, message: string): void;
}

/** What code in shardcast logs through; `fields` first, then one sentence. */
export interface Log {
	readonly debug: LogMethod;
	readonly info: LogMethod;
	readonly warn: LogMethod;
	readonly error: LogMethod;
	level: string;
	child(fields: object): Log;
}

/** What log lines look like: `auto` means for people on a terminal, for programs elsewhere. */
export function shapeOf(format: LogFormat): Exclude<LogFormat, "auto"> {
	if (format !== "auto") return format;
	return process.stderr.isTTY ? "pretty" : "json";
}

/**
 * Log lines go to stderr, since stdout belongs to what a command prints. They are written synchronously, so that the last line
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
			// By itself pino shows an Error as {}: it has no own property.
			serializers: { error: readableError },
			formatters: { level: (label) => ({ level: label }) },
		},
		destination,
	);
}

/** A program may throw anything, even what throws when somebody looks at it: a getter, a revoked proxy. That must not end who logs it. */
function readableError(error: Error): unknown {
	try {
		const shown: unknown = pino.stdSerializers.err(error);
		// Reads it as the line will.
		JSON.stringify(shown);
		return shown;
	} catch {
		return "a thrown value that cannot be read";
	}
}

/**
 * A terminal that is gone (EIO) or a reader that has left (EPIPE) costs the lines, not the process, which has clients to close.
 * What can't be written waits, up to a bound, and is dropped beyond.
 */
function standardError(): ReturnType<typeof pino.destination> {
	const stderr = pino.destination({ dest: 2, sync: true, maxLength: waitingBytesMax });
	stderr.on("error", () => {});
	return stderr;
}

/** For tests and for library use: takes everything, writes nothing. */
export function silentLog(): Log {
	return pino({ level: "silent" });
}
