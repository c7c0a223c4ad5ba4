import { closeSync, openSync } from "node:fs";

export interface HangUpHandlers {
	/** The options are to be read again. */
	readonly reload: () => void;
	/** The terminal that the process was started from is gone. */
	readonly leave: () => void;
	/** Whether this process has a terminal now. */
	readonly hasTerminal?: () => boolean;
}

/**
 * SIGHUP has two meanings: to a service it says "read your options again", to a program in a terminal that its terminal is gone. The
 * kernel takes the terminal away before it sends the signal, so they can be told apart: a process that had one and has it no more is to
 * leave. @returns how to take the handler away again.
 */
export function onHangUp({ reload, leave, hasTerminal = terminalIsThere }: HangUpHandlers): () => void {
	const hadTerminal = hasTerminal();
	const onSignal = () => (hadTerminal && !hasTerminal() ? leave() : reload());
	process.on("SIGHUP", onSignal);
	return () => void process.off("SIGHUP", onSignal);
}

/** @param open throws when the terminal cannot be opened. Any error but ENXIO, such as EMFILE, says nothing of the terminal: it counts as there. */
export function terminalIsThere(open: () => void = openTerminal): boolean {
	try {
		open();
		return true;
	} catch (error) {
		// ENXIO: no terminal controls this process.
		return (error as NodeJS.ErrnoException).code !== "ENXIO";
	}
}

function openTerminal(): void {
	closeSync(openSync("/dev/tty", "r"));
}
