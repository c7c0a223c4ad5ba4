import { closeSync, openSync } from "node:fs";

interface HangUpHandlers {
	/** Called to reload the options. */
	readonly reload: () => void;
	/** Called when the process's terminal is gone. */
	readonly leave: () => void;
	/** Whether this process has a terminal now. */
	readonly hasTerminal?: () => boolean;
}

/** What `keepHangUps` has found; null = it was not called, or `onHangUp` has taken over. */
let kept: { readonly hadTerminal: boolean; received: boolean } | null = null;

/**
 * From now on SIGHUP does not end the process. One that comes before `onHangUp` can handle it is handled then: a service may be told to reload while
 * it still starts.
 */
export function keepHangUps(hasTerminal = terminalExists): void {
	kept = { hadTerminal: hasTerminal(), received: false };
	process.on("SIGHUP", keep);
}

function keep(): void {
	if (kept !== null) kept.received = true;
}

/**
 * Handles SIGHUP, which has two meanings: for a service, "reload your options"; for a program in a terminal, that its terminal is gone. The kernel
 * removes the terminal before it sends the signal, so a process that had a terminal and no longer has one must exit.
 * @returns a function that removes the handler.
 */
export function onHangUp({ reload, leave, hasTerminal = terminalExists }: HangUpHandlers): () => void {
	const before = kept;
	kept = null;
	const hadTerminal = before?.hadTerminal ?? hasTerminal();
	const onSignal = () => (hadTerminal && !hasTerminal() ? leave() : reload());
	process.on("SIGHUP", onSignal);
	process.off("SIGHUP", keep);
	// Later, since the caller may not be ready.
	if (before?.received === true) setImmediate(onSignal);
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
