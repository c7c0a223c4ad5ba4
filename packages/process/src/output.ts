import { StartupError } from "./startup-error.ts";

/** The reader of stdout is gone. */
export class OutputClosed extends Error {
	/** As for a program ended by a closed pipe: 128 plus the number of SIGPIPE, which Node ignores. */
	readonly exitStatus = 141;
}

/**
 * Keeps the process alive when stdout or stderr can no longer be written to, because their reader (`… | head -1`) or terminal is gone, or the disk
 * is full. Otherwise Node would end the process at the first such write. Each `main.ts` calls it first.
 */
export function surviveClosedOutput(): void {
	for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}

/**
 * Writes the output of a command. Servers do not use it for their banner, since they continue if nothing reads it.
 * @throws OutputClosed when the reader is gone, StartupError when writing fails for another reason.
 */
export async function print(text: string): Promise<void> {
	const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => void process.stdout.write(text, resolve));
	if (!error) return;
	if (error.code === "EPIPE") throw new OutputClosed("the reader of stdout is gone", { cause: error });
	throw new StartupError(`stdout can't be written to (${error.code ?? error.message}); the output is incomplete`, { cause: error });
}
