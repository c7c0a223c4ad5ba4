import { closeAll } from "../lifecycle/drain.ts";
import type { ClientSession } from "./client-session.ts";

interface OffloadParts {
	readonly clients: () => ClientSession[];
	/** Clients per second that may reconnect; read again for each pass. */
	readonly clientsPerSecond: () => number;
	/** Whether any other shard of this machine takes clients. While none does, nobody is told. */
	readonly haveElsewhere: () => boolean;
	/** Called for each client that is told. */
	readonly onTold: () => void;
	readonly nowMs: () => number;
	readonly pause: (ms: number) => Promise<void>;
	readonly random: () => number;
}

/** A client in the middle of something is left alone for so long. */
const busyMsMax = 5000;
/** Pause before clients are looked for that have arrived meanwhile: the balancer may have chosen this shard just before it was drained. */
const lateEveryMs = 100;

/**
 * Tells all clients of a shard to reconnect, while the shard keeps serving those that are left. Unlike the drain of a stop it has no deadline, and it can
 * be ended. Clients with unwritten messages get these first, and one in the middle of something finishes it, if that does not take too long.
 *
 * Owned by the shard's loop. Costs a pass over all clients for each tick of 20 ms while some are left, and ten passes per second after that.
 */
export class Offload {
	readonly #parts: OffloadParts;
	/** Replaced at each start, so that the loop of an earlier one ends. */
	#run: { readonly rate: number | null } | null = null;

	constructor(parts: OffloadParts) {
		this.#parts = parts;
	}

	get isOn(): boolean {
		return this.#run !== null;
	}

	/** Does nothing but change the rate if it is on. @param rate clients per second that may reconnect; null = as the options say. Rejects if a client cannot be closed. */
	async start(rate: number | null): Promise<void> {
		const run = { rate };
		this.#run = run;
		const { clients, clientsPerSecond, haveElsewhere, onTold, nowMs, pause, random } = this.#parts;
		while (this.#run === run) {
			if (!haveElsewhere()) {
				await pause(lateEveryMs);
				continue;
			}
			const sinceMs = nowMs();
			await closeAll({
				clients,
				close: (client, code) => {
					client.close(code);
					onTold();
				},
				mayClose: (client) => !client.isGone && (client.moveCost !== null || nowMs() - sinceMs >= busyMsMax),
				isEnded: () => this.#run !== run || !haveElsewhere(),
				clientsPerSecond: run.rate ?? clientsPerSecond(),
				deadlineMs: Number.POSITIVE_INFINITY,
				nowMs,
				pause,
				random,
			});
			if (this.#run === run) await pause(lateEveryMs);
		}
	}

	/** Clients that have not been told yet stay. */
	stop(): void {
		this.#run = null;
	}
}
