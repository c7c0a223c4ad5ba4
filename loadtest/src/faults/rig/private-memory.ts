import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const sizeMiB = 192;
const variable = "FAULTS_MEMORY";

/** The memory file system that only this process and its children see; null = there is none. */
export const privateMemory: string | null = process.env[variable] ?? null;

/**
 * Runs this program again, in a mount namespace with a small, separate memory file system, so that filling it disturbs nobody else. Needs root.
 *
 * @returns its exit status; null = this is not possible here, or this is that run.
 */
export async function runWithPrivateMemory(): Promise<number | null> {
	if (privateMemory !== null || process.getuid?.() !== 0) return null;
	const folder = mkdtempSync(join(tmpdir(), "shardcast-faults-memory-"));
	const mount = `mount -t tmpfs -o size=${sizeMiB}m,mode=0700 tmpfs "$0" && exec "$@"`;
	const unshare = ["-m", "--propagation", "private", "/bin/sh", "-c", mount, folder];
	try {
		if (spawnSync("unshare", [...unshare, "true"], { stdio: "ignore" }).status !== 0) return null;
		const child = spawn("unshare", [...unshare, process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
			stdio: "inherit",
			env: { ...process.env, [variable]: folder },
		});
		// From a terminal the child has them as well.
		for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
		return await new Promise<number>((resolve, reject) => {
			child.once("error", reject);
			child.once("exit", (code) => resolve(code ?? 1));
		});
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}
