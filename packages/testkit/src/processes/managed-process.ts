import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { waitFor } from "../wait.ts";
import { descendantsOf, isAlive, type ProcessIdentity } from "./proc.ts";

export interface ExitStatus {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

export interface ProcessOptions {
	/** Added to this process's environment, from which SHARDCAST_… is taken out; undefined removes a variable. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	readonly cwd?: string;
	readonly nodeArguments?: readonly string[];
	/** Files that it, and each of its children, may have open. */
	readonly openFiles?: number;
	/** The only CPU that it may use, from its start on. Needs `taskset`. */
	readonly cpu?: number;
	/** In a separate process group, so that Ctrl-C in the terminal does not reach it: whoever started it stops it. */
	readonly ownGroup?: boolean;
}

/** Length of the kept end of the output. Earlier output is dropped. */
const logCharactersMax = 1 << 20;

/** A Node program under test: its output is collected, its end is observed, and it cannot outlive the test run. */
export class ManagedProcess {
	readonly pid: number;
	readonly exited: Promise<ExitStatus>;
	readonly #child: ChildProcess;
	readonly #name: string;
	#log = "";
	#status: ExitStatus | null = null;

	private constructor(child: ChildProcess, name: string) {
		this.#child = child;
		this.#name = name;
		this.pid = child.pid!;
		const guard = startGuard(this.pid);
		for (const stream of [child.stdout!, child.stderr!]) {
			stream.setEncoding("utf8");
			stream.on("data", (text: string) => {
				this.#log = (this.#log + text).slice(-logCharactersMax);
			});
		}
		this.exited = new Promise((resolve) => {
			// "close" comes after the last output, "exit" may come before.
			child.once("close", (code, signal) => {
				guard.kill("SIGKILL");
				this.#status = { code, signal };
				resolve(this.#status);
			});
		});
	}

	static async start(entry: string, args: readonly string[] = [], options: ProcessOptions = {}): Promise<ManagedProcess> {
		const env: NodeJS.ProcessEnv = {};
		for (const [name, value] of Object.entries(process.env)) if (!name.startsWith("SHARDCAST_")) env[name] = value;
		Object.assign(env, options.env);
		const pinned = options.cpu === undefined ? [] : ["taskset", "-c", String(options.cpu)];
		const limited = options.openFiles === undefined ? [] : ["/bin/sh", "-c", `ulimit -n ${options.openFiles}; exec "$0" "$@"`];
		const [command, ...rest] = [...pinned, ...limited, process.execPath, ...(options.nodeArguments ?? []), entry, ...args];
		const child = spawn(command!, rest, {
			env,
			stdio: ["ignore", "pipe", "pipe"],
			detached: options.ownGroup === true,
			...(options.cwd === undefined ? {} : { cwd: options.cwd }),
		});
		await new Promise<void>((resolve, reject) => {
			child.once("spawn", resolve);
			child.once("error", reject);
		});
		return new ManagedProcess(child, [entry, ...args].join(" "));
	}

	/** Everything written to stdout and stderr so far (the last MiB of it). */
	log(): string {
		return this.#log;
	}

	/** Null while it runs. */
	status(): ExitStatus | null {
		return this.#status;
	}

	signal(signal: NodeJS.Signals): void {
		this.#child.kill(signal);
	}

	/** Waits for the first match in the output. @throws with the output if the program ends before. */
	async waitForOutput(pattern: RegExp, deadlineMs: number): Promise<RegExpExecArray> {
		const look = (): RegExpExecArray | null => pattern.exec(this.#log);
		try {
			return await this.waitUntil(look, `${pattern} in the output of ${this.#name}`, deadlineMs);
		} catch (error) {
			// The last output arrives together with the exit, after the previous check.
			const match = look();
			if (match !== null) return match;
			throw error;
		}
	}

	/** Waits for a condition while the program runs. */
	async waitUntil<T>(condition: () => T | Promise<T>, what: string, deadlineMs: number): Promise<NonNullable<T>> {
		const ended = this.exited.then((status) => {
			throw new Error(`${this.#name} ended (${describeExit(status)}) before: ${what}\n${this.#log}`);
		});
		ended.catch(() => {}); // the race below may be over by then
		const abandoned = { yes: false };
		try {
			return await Promise.race([waitFor(() => abandoned.yes || condition(), { deadlineMs, what }) as Promise<NonNullable<T>>, ended]);
		} catch (error) {
			throw this.#log.length === 0 || String(error).includes(this.#log)
				? error
				: new Error(`${(error as Error).message}\n${this.#log}`, { cause: error });
		} finally {
			abandoned.yes = true;
		}
	}

	/**
	 * Sends `signal` and waits for the end. @throws when it does not end in time (it is killed then) or when a process
	 * that it had started is still there afterwards (killed as well).
	 */
	async stop(signal: NodeJS.Signals = "SIGTERM", deadlineMs = 20_000): Promise<ExitStatus> {
		const family = this.#status === null ? descendantsOf(this.pid) : [];
		this.signal(signal);
		try {
			await waitFor(() => this.#status !== null, { deadlineMs, what: `the end of ${this.#name} after ${signal}` });
		} catch (error) {
			this.signal("SIGKILL");
			throw new Error(`${(error as Error).message}\n${this.#log}`);
		}
		const status = this.#status!;
		await leaveNone(family, this.#name, this.#log);
		return status;
	}
}

/**
 * A shell that waits for the end of *this* process and then kills `pid`: however a test run ends, by kill -9 of the runner
 * too, nothing that it started stays. In a separate process group, or what kills the runner's group would kill it first.
 */
export function startGuard(pid: number): ChildProcess {
	const guard = spawn("/bin/sh", ["-c", 'read -r _; kill -9 "$0"', String(pid)], { stdio: ["pipe", "ignore", "ignore"], detached: true });
	guard.on("error", () => {}); // no /bin/sh: the tests run all the same
	guard.unref();
	(guard.stdin as Socket).unref();
	return guard;
}

async function leaveNone(family: readonly ProcessIdentity[], name: string, log: string): Promise<void> {
	try {
		await waitFor(() => family.every((member) => !isAlive(member)), { deadlineMs: 3_000, what: `the end of all children of ${name}` });
	} catch (error) {
		const left = family.filter(isAlive);
		for (const { pid } of left) process.kill(pid, "SIGKILL");
		throw new Error(`${(error as Error).message}; left: ${left.map(({ pid }) => pid).join(", ")}\n${log}`);
	}
}

export function describeExit({ code, signal }: ExitStatus): string {
	return signal === null ? `exit status ${code}` : `signal ${signal}`;
}
