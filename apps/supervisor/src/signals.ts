/** SIGHUP as well: it says that the terminal is gone. */
const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Stoppable {
	stop(reason: string): Promise<void>;
	kill(reason: string): Promise<void>;
}

/** The first signal stops in order, the second forces. @returns how to take the handlers away again. */
export function stopOnSignals(stoppable: Stoppable): () => void {
	let first = true;
	const onSignal = (signal: NodeJS.Signals) => {
		const told = first ? stoppable.stop(signal) : stoppable.kill(`second signal (${signal})`);
		first = false;
		// An error here is a bug; it must end the process rather than leave it half stopped.
		told.catch((error: unknown) => {
			queueMicrotask(() => {
				throw error;
			});
		});
	};
	for (const signal of signals) process.on(signal, onSignal);
	return () => {
		for (const signal of signals) process.off(signal, onSignal);
	};
}
