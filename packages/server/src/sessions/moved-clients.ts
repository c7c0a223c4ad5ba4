import { CloseCode } from "@shardcast/wire";
import { closeAll } from "../lifecycle/drain.ts";
import type { ClientSession } from "./client-session.ts";

interface MovedClientsParts {
	readonly clients: () => readonly ClientSession[];
	readonly nowMs: () => number;
	readonly pause: (ms: number) => Promise<void>;
	readonly random: () => number;
	readonly onError: (error: unknown) => void;
}

/** They are spread over half of it; the rest is for clients with unwritten messages. */
const deadlineMs = 2000;

/**
 * Asks some clients to connect again, so that they find another node or shard: those first that lose least. Clients in the middle of something stay.
 *
 * Owned by the shard's loop. Costs a pass over all clients, and a sort, for each call: a few milliseconds for 10,000 clients, about once a second during a
 * rebalance.
 */
export class MovedClients {
	readonly #parts: MovedClientsParts;
	/** Chosen by earlier calls, and still here. */
	readonly #chosen = new Set<ClientSession>();

	constructor(parts: MovedClientsParts) {
		this.#parts = parts;
	}

	/**
	 * Spreads them over a second. Those that earlier calls have chosen, and that are still here, count: so two orders that follow each other do not move
	 * twice as many. Returns how many more are asked.
	 */
	move(count: number): number {
		let leaving = 0;
		for (const { place } of this.#chosen) if (place >= 0) leaving++;
		const chosen = this.#cheapest(count - leaving);
		if (chosen.length > 0) this.#close(chosen).catch(this.#parts.onError);
		return chosen.length;
	}

	#cheapest(count: number): ClientSession[] {
		const found: { readonly client: ClientSession; readonly cost: number; readonly draw: number }[] = [];
		for (const client of this.#parts.clients()) {
			const cost = client.isGone || this.#chosen.has(client) ? null : client.moveCost;
			if (cost !== null) found.push({ client, cost, draw: this.#parts.random() });
		}
		found.sort((a, b) => a.cost - b.cost || a.draw - b.draw);
		return found.slice(0, Math.max(0, count)).map(({ client }) => client);
	}

	async #close(clients: readonly ClientSession[]): Promise<void> {
		for (const client of clients) this.#chosen.add(client);
		const { nowMs, pause, random } = this.#parts;
		try {
			await closeAll({
				clients: () => [...clients],
				close: (client) => {
					// It may have sent a command meanwhile.
					if (client.moveCost !== null) client.close(CloseCode.connectAgain);
				},
				clientsPerSecond: clients.length,
				deadlineMs,
				nowMs,
				pause,
				random,
			});
		} finally {
			for (const client of clients) this.#chosen.delete(client);
		}
	}
}
