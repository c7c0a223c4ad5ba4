import { StartupError } from "./startup-error.ts";

/** Nobody reads stdout any more. */
export class OutputClosed extends Error {
	/** What a shell shows for a program that a closed pipe has ended: 128 plus the number of SIGPIPE, which Node ignores. */
	readonly exitStatus = 141;
}

/**
 * Keeps a process alive when stdout or stderr cannot be written to any more, because their reader has left (`… | head -1`), their
 * terminal is gone or their disk is full. Without it Node ends the process at the first such write. Each `main.ts` calls it first.
 */
export function surviveClosedOutput(): void {
	for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
}

/**
 * Writes what a command has been called for. A program that serves writes its banner without: it goes on when nobody reads it.
 * @throws OutputClosed when nobody reads it any more, StartupError when it can't be written for another reason.
 */
export async function print(text: string): Promise<void> {
	const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => void process.stdout.write(text, resolve));
	if (!error) return;
	if (error.code === "EPIPE") throw new OutputClosed("nobody reads stdout any more", { cause: error });
	throw new StartupError(`stdout can't be written to (${error.code ?? error.message}); the output is incomplete`, { cause: error });
}
