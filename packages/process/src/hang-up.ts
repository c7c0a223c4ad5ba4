import { closeSync, openSync } from "node:fs";

interface HangUpHandlers {
	/** Called to reload the options. */
	readonly reload: () => void;
	/** Called when the process's terminal is gone. */
	readonly leave: () => void;
	/** Whether this process has a terminal now. */
	readonly hasTerminal?: () => boolean;
}

/**
 * Handles SIGHUP, which has two meanings: for a service, "reload your options"; for a program in a terminal, that its terminal is gone. The kernel
 * removes the terminal before it sends the signal, so a process that had a terminal and no longer has one must exit.
 * @returns a function that removes the handler.
 */
export function onHangUp({ reload, leave, hasTerminal = terminalExists }: HangUpHandlers): () => void {
	const hadTerminal = hasTerminal();
	const onSignal = () => (hadTerminal && !hasTerminal() ? leave() : reload());
	process.on("SIGHUP", onSignal);
	return () => void process.off("SIGHUP", onSignal);
}

/** @param open throws when the terminal cannot be opened. Only ENXIO means that there is none; other errors, such as EMFILE, do not. */
export function terminalExists(open: () => void = openTerminal): boolean {
	try {
		open();
		return true;
	} catch (error) {
		// ENXIO: this process has no controlling terminal.
		return (error as NodeJS.ErrnoException).code !== "ENXIO";
	}
}

function openTerminal(): void {
	closeSync(openSync("/dev/tty", "r"));
}
