import type { ChildProcess } from "node:child_process";

/** Sends the signal and waits until the process has ended; at once if it has already. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const exited = new Promise((resolve) => child.once("exit", resolve));
	child.kill(signal);
	await exited;
}
