import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";

export const main = join(import.meta.dirname, "../../dist/main.js");

/** A pipe whose reader has ended before the program starts. */
const leaveUnread = "exec 3> >(exec true); wait $!;";
/** What becomes of the output: nobody reads it, or it goes to a device on which there is no room. */
const redirections = {
	stdout: { before: leaveUnread, to: ">&3 3>&-" },
	both: { before: leaveUnread, to: ">&3 2>&3 3>&-" },
	full: { before: "", to: "> /dev/full" },
} as const;

export interface Unread {
	readonly child: ChildProcess;
	/** Resolves with the exit status, or the signal, and what came on stderr. */
	readonly ended: Promise<{ readonly status: number | NodeJS.Signals | null; readonly errors: string }>;
}

/** Starts `shardcast` as at the head of a pipeline whose next program has left already. Has its own pid, but for the name that of a shell. */
export function startUnread(args: readonly string[], redirection: keyof typeof redirections = "stdout"): Unread {
	const { before, to } = redirections[redirection];
	const script = `${before} exec "$0" "$@" ${to}`;
	const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("SHARDCAST_")));
	const child = spawn("bash", ["-c", script, process.execPath, main, ...args], { env, stdio: ["ignore", "ignore", "pipe"] });
	let errors = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		errors += text;
	});
	const ended = new Promise<Awaited<Unread["ended"]>>((resolve) => {
		child.once("close", (code, signal) => resolve({ status: code ?? signal, errors }));
	});
	return { child, ended };
}
