import { onHangUp, StopSignals } from "@shardcast/process";

interface Stoppable {
	stop(reason: string): Promise<void>;
	kill(reason: string): Promise<void>;
}

/**
 * The first SIGINT or SIGTERM stops in order, the second at once. SIGHUP reloads all options, or stops if the terminal is gone.
 * SIGUSR2 begins a rolling restart. The handlers stay for
 * the rest of the process's life: otherwise a signal between the end of the cluster and that of the process would change the exit status.
 */
export function stopOnSignals(stoppable: Stoppable, reload: () => void, restart?: () => void): void {
	// An error here is a bug. It must end the process instead of leaving it half stopped.
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
	// No reload while stopping.
	if (restart !== undefined) process.on("SIGUSR2", () => signals.stopping || restart());
	onHangUp({ reload: () => signals.stopping || reload(), leave: () => signals.handle("SIGHUP") });
}
