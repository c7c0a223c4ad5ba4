/**
 * For a process that another one starts and stops: a terminal and systemd send their signals to the whole group, but that process decides the order
 * of a stop, and reads the options. May be called twice.
 */
export function ignoreSignals(): void {
	for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
		if (!process.listeners(signal).includes(ignore)) process.on(signal, ignore);
}

function ignore(): void {}
