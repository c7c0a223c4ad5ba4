import { onHangUp, StopSignals } from "@shardcast/process";

export interface Stoppable {
	stop(reason: string): Promise<void>;
	kill(reason: string): Promise<void>;
}

/**
 * The first SIGINT or SIGTERM stops in order, the second forces. SIGHUP reads all options again, unless it says that the terminal is
 * gone: then it stops as well. For the rest of the process's life: a signal that came between the end of the cluster and that of
 * the process would otherwise take the exit status away.
 */
export function stopOnSignals(stoppable: Stoppable, reload: () => void): void {
	// An error here is a bug; it must end the process rather than leave it half stopped.
	const failing = (told: Promise<void>) =>
		void told.catch((error: unknown) => {
			queueMicrotask(() => {
				throw error;
			});
		});
	const signals = new StopSignals({
		stop: (signal) => failing(stoppable.stop(signal)),
		force: (signal) => failing(stoppable.kill(`second signal (${signal})`)),
	});
	signals.listen();
	// One that is stopping needs no new option values.
	onHangUp({ reload: () => signals.stopping || reload(), leave: () => signals.handle("SIGHUP") });
}
