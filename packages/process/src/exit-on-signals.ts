import { onHangUp } from "./hang-up.ts";
import { StopSignals } from "./stop-signals.ts";

interface ExitOnSignals {
	/** Stops in order. Resolves with the exit status. */
	readonly stop: (signal: NodeJS.Signals) => Promise<number>;
	/** Called on SIGHUP, but not while stopping. */
	readonly reload: () => void;
	readonly log: { warn(message: string): void };
}

/**
 * For a program of one process: the first SIGINT or SIGTERM stops in order, the second at once. SIGHUP also stops if the terminal is gone. Call once;
 * the handlers stay for the rest of the process's life.
 */
export function exitOnSignals({ stop, reload, log }: ExitOnSignals): void {
	const signals = new StopSignals({
		stop: (signal) => void stop(signal).then((status) => process.exit(status)),
		force: (signal) => {
			log.warn(`forced to stop: second signal (${signal})`);
			process.exit(1);
		},
	});
	signals.listen();
	onHangUp({ reload: () => signals.stopping || reload(), leave: () => signals.handle("SIGHUP") });
}
