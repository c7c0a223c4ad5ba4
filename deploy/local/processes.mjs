// Processes that go on after the command that started them, and how later commands find them: by id and start time.
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";

/** When the process began, in the kernel's ticks; null when there is none. A reused id has another time. */
export function startTime(pid) {
	try {
		const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
		// The command is in brackets and may have any character in it.
		const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
		return fields[0] === "Z" ? null : fields[19];
	} catch {
		return null;
	}
}

/** False also for one that did not start, or had ended when it was noted. */
export const alive = ({ pid, startTime: since }) => since !== null && startTime(pid) === since;

/** Starts a program in the background, with its output in a file. @param options of `spawn`. */
export function startInBackground(command, args, logPath, options = {}) {
	const log = openSync(logPath, "w");
	const child = spawn(command, args, { ...options, detached: true, stdio: ["ignore", log, log] });
	closeSync(log);
	const ended = new Promise((resolve) => {
		child.once("exit", resolve);
		child.once("error", () => resolve(127));
	});
	child.unref();
	const exitStatus = () => {
		child.ref();
		return ended;
	};
	return { noted: { pid: child.pid, startTime: startTime(child.pid) }, exitStatus };
}

/** Stops a process and waits until it has ended. @returns whether it ended by that signal; if not in time, it was killed. */
export async function stop(noted, signal, withinMs) {
	if (!alive(noted)) return true;
	process.kill(noted.pid, signal);
	const endMs = performance.now() + withinMs;
	while (alive(noted) && performance.now() < endMs) await pause(50);
	if (!alive(noted)) return true;
	process.kill(noted.pid, "SIGKILL");
	while (alive(noted)) await pause(50);
	return false;
}

export const tailOf = (path) => readFileSync(path, "utf8").trimEnd().split("\n").slice(-20).join("\n");
