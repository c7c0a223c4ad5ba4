import { Readable } from "node:stream";
import { type CommandOutcome, runCommandLine } from "@shardcast/config";
import { vi } from "vitest";
import { commandLine } from "../../src/cli.ts";

export interface RanHere {
	readonly code: CommandOutcome;
	readonly stdout: string;
	readonly stderr: string;
	/** Both, as they came. */
	readonly lines: string[];
}

/**
 * Runs a command line in this process, for what is not in the way in which it is started: a start takes half a second of CPU. Not for commands
 * that get as far as serving. SHARDCAST_… of this process is left out. One at a time.
 */
export async function runHere(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Promise<RanHere> {
	let [stdout, stderr, both] = ["", "", ""];
	const writeTo =
		(take: (text: string) => void) =>
		(text: string | Uint8Array, ...rest: unknown[]): boolean => {
			take(String(text));
			both += text;
			const done = rest.at(-1);
			if (typeof done === "function") done();
			return true;
		};
	const spies = [
		vi.spyOn(process.stdout, "write").mockImplementation(writeTo((text) => (stdout += text))),
		vi.spyOn(process.stderr, "write").mockImplementation(writeTo((text) => (stderr += text))),
		vi.spyOn(process, "stdin", "get").mockReturnValue(Readable.from(input === "" ? [] : [input]) as unknown as typeof process.stdin),
	];
	const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("SHARDCAST_"));
	try {
		const code = await runCommandLine(commandLine, args, { ...Object.fromEntries(inherited), ...env });
		return { code, stdout, stderr, lines: both.trimEnd().split("\n") };
	} finally {
		for (const spy of spies) spy.mockRestore();
	}
}
