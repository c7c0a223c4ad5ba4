import { spawn } from "node:child_process";
import { join } from "node:path";
import { deploy } from "./metric-names.ts";

export interface Ended {
	readonly status: number | null;
	readonly output: string;
}

/** Runs a command from the root of the project; rejects when there is no such command. */
export function run(
	command: string,
	args: readonly string[],
	{
		env = {},
		input = "",
		timeoutMs = 60_000,
	}: { readonly env?: Readonly<Record<string, string>>; readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Ended> {
	return new Promise((resolve, reject) => {
		const child = spawn(command, args, { cwd: join(deploy, ".."), env: { ...process.env, ...env }, timeout: timeoutMs });
		let output = "";
		const take = (part: Buffer): void => {
			output += part;
		};
		child.stdout.on("data", take);
		child.stderr.on("data", take);
		child.once("error", reject);
		child.once("close", (status) => resolve({ status, output }));
		child.stdin.on("error", () => {}); // it ended without reading, and its status tells
		child.stdin.end(input);
	});
}

/** Whether a command is there. If not, says so in one loud line; in CI that is a failure, so that a skip never looks like a pass. */
export async function available(command: string, debianPackage: string): Promise<boolean> {
	const there = await run(command, ["--version"]).then(
		() => true,
		() => false,
	);
	if (there) return true;
	const line = `${command} is not installed (Debian: apt-get install ${debianPackage})`;
	if (process.env.CI === "true") throw new Error(line);
	process.stderr.write(`\n!!! SKIPPED: ${line} !!!\n\n`);
	return false;
}
