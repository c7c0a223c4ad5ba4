import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { ConfigError } from "../load/config-error.ts";
import type { NameOf } from "../options/checks/check.ts";
import type { Config } from "../options/options.ts";

/** A module that takes longer to load is refused. */
const loadMsMax = 10_000;
/** Maximum length kept of Node's output about an error; its beginning is enough. */
const outputBytesMax = 64 * 1024;
const messageLengthMax = 300;
/** After the process has ended, its last output may still be in the pipe. */
const lastOutputMs = 500;

/** Loads the module in a separate process and reports the type of its default export. It exits at once, even if the module has started timers. */
const program = `
const { pathToFileURL } = await import("node:url");
const module = await import(pathToFileURL(process.argv[1]).href);
process.send(typeof module.default, () => process.exit(0));
`;

/**
 * Why the module of `--kafka-route` cannot be used: one line that begins with file and line, if Node reports them; null = it can.
 * It is loaded in another process, since only Node's own report of an uncaught error says where a syntax error is, and since
 * what it does while it loads must not happen here. Costs about 0.1 s; at most 10 s.
 */
export async function routeProblem(path: string): Promise<string | null> {
	const file = resolve(path);
	const child = spawn(process.execPath, ["--input-type=module", "--eval", program, file], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
	let exported: string | null = null;
	let output = "";
	child.on("message", (type) => {
		exported = String(type);
	});
	const failure = await ended(child, (text) => {
		if (output.length < outputBytesMax) output += text;
	});
	if (exported === "function") return null;
	if (exported !== null) return `${file}: its default export is ${exported}, not a function`;
	if (failure === "late") return `${file}: it did not load within ${loadMsMax / 1000} s`;
	return failure === null ? problemIn(output, file, child.exitCode) : `${file}: node cannot be started to load it: ${failure.message}`;
}

/**
 * Resolves when the process is gone: with null, with "late" when it had to be killed, or with why there was none. A process that it has
 * started itself may keep its stderr open; that one is not waited for.
 */
function ended(child: ChildProcess, write: (text: string) => void): Promise<Error | "late" | null> {
	return new Promise((resolve) => {
		let outcome: Error | "late" | null = null;
		const end = () => {
			clearTimeout(timer);
			child.stderr?.destroy();
			resolve(outcome);
		};
		let timer = setTimeout(() => {
			outcome = "late";
			child.kill("SIGKILL");
		}, loadMsMax);
		// Must come first: a process that could not be started has no stderr.
		child.once("error", (error) => {
			outcome ??= error;
			end();
		});
		child.once("exit", () => {
			clearTimeout(timer);
			// If this process stood still meanwhile, the output is read before the end.
			timer = setTimeout(() => setImmediate(end), lastOutputMs);
		});
		child.once("close", end);
		child.stderr?.setEncoding("utf8").on("data", write);
	});
}

/** Node's exit status when a top-level await can never settle. Its output depends on its version. */
const neverSettled = 13;

const location = /^(?:file:\/\/)?(\/.*):(\d+)$/;
const frame = /(?:\(|\bat (?:async )?)(?:file:\/\/)?(\/[^)]+):(\d+):\d+\)?$/;
const errorLine = /^(?:Uncaught )?\w*Error\b/;

/** The error in what Node wrote, with the place that it names; else the last thing that was written, or how the process ended. */
function problemIn(output: string, file: string, exitCode: number | null): string {
	if (exitCode === neverSettled) return `${file}: its top-level await never settles`;
	const lines = output.split("\n").map((line) => line.trimEnd());
	const at = lines.findIndex((line) => errorLine.test(line));
	const others = lines.filter((line) => line !== "" && !/^Node\.js v|^\(Use `node|^\s+at |^node:/.test(line));
	const what = at >= 0 ? lines[at]! : (others.at(-1) ?? `it ended its process (status ${exitCode}) while it was loaded`);
	const place = placeOf(lines.slice(0, Math.max(at, 0)), location) ?? placeOf(lines.slice(at + 1), frame);
	return `${place ?? file}: ${what.slice(0, messageLengthMax)}`;
}

/** The first line that names a file of the user's. */
function placeOf(lines: readonly string[], pattern: RegExp): string | null {
	for (const line of lines) {
		const [, where, number] = pattern.exec(line) ?? [];
		// The program above is reported as a file in the current directory.
		if (where !== undefined && !where.includes("/[eval")) return `${decoded(where)}:${number}`;
	}
	return null;
}

/** Node writes the files of ES modules as URLs. */
function decoded(path: string): string {
	try {
		return decodeURI(path);
	} catch {
		// A path as it is, with a percent sign in it.
		return path;
	}
}

/** @throws ConfigError when there is a route module and it cannot be used. */
export async function checkRoute(config: Pick<Config, "kafkaRoute">, name: NameOf): Promise<void> {
	if (config.kafkaRoute === "") return;
	const problem = await routeProblem(config.kafkaRoute);
	if (problem !== null) throw new ConfigError([`${name("kafkaRoute")}: the module cannot be loaded: ${problem}`]);
}
