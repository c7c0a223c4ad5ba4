/** A client that is sent what waits for it. */
interface Pumped {
	readonly isGone: boolean;
	readonly queues: { readonly output: { pump(): void } };
}

/**
 * When clients are sent what waits for them: at the end of a turn of the event loop, so that what has come for one in that turn is one write. Clients
 * with frames that have priority come first: for the last of a thousand others it is milliseconds later.
 *
 * All of them are served in that turn, though a frame with priority that comes meanwhile has to wait for it. If the rest were left for later, the loop
 * would read more than it sends, and what waits would use up the buffers of all.
 *
 * One owner, the gateway's loop. Bound: each client is there twice at most.
 */
export class PumpTurns<Client extends Pumped> {
	#urgent = new Set<Client>();
	#others = new Set<Client>();
	#next: NodeJS.Immediate | null = null;

	/** @param isUrgent whether a frame that has priority waits. */
	soon(client: Client, isUrgent: boolean): void {
		(isUrgent ? this.#urgent : this.#others).add(client);
		this.#next ??= setImmediate(this.#turn);
	}

	stop(): void {
		if (this.#next !== null) clearImmediate(this.#next);
		this.#urgent.clear();
		this.#others.clear();
	}

	readonly #turn = (): void => {
		this.#next = null;
		const [urgent, others] = [this.#urgent, this.#others];
		// Those that are noted meanwhile have their turn next time.
		if (urgent.size > 0) this.#urgent = new Set();
		if (others.size > 0) this.#others = new Set();
		for (const client of urgent) pump(client);
		for (const client of others) pump(client);
	};
}

function pump(client: Pumped): void {
	if (!client.isGone) client.queues.output.pump();
}
