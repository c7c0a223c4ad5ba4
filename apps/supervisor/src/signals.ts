import { onHangUp } from "@shardcast/process";

const signals = ["SIGINT", "SIGTERM"] as const;

export interface Stoppable {
	stop(reason: string): Promise<void>;
	kill(reason: string): Promise<void>;
}

/**
 * The first SIGINT or SIGTERM stops in order, the second forces. SIGHUP reads the settings again, unless it says that the terminal is
 * gone: then it stops as well. For the rest of the process's life: a signal that came between the end of the cluster and that of
 * the process would otherwise take the exit status away.
 */
export function stopOnSignals(stoppable: Stoppable, reload: () => void): void {
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
	// One that is stopping needs no new settings.
	onHangUp({ reload: () => first && reload(), leave: () => onSignal("SIGHUP") });
}
