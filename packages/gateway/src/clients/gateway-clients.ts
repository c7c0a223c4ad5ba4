import type { GatewayClient } from "./gateway-client.ts";

/** The connected clients of a gateway, from open to close. One owner, its loop. Bound: `--max-connections`, checked before an upgrade. */
export class GatewayClients {
	readonly #all: GatewayClient[] = [];
	readonly #byId = new Map<number, GatewayClient>();

	get count(): number {
		return this.#all.length;
	}

	/** In no particular order; changes when a client connects or disconnects. */
	get all(): readonly GatewayClient[] {
		return this.#all;
	}

	/** A copy, in no particular order. */
	snapshot(): GatewayClient[] {
		return [...this.#all];
	}

	get(id: number): GatewayClient | undefined {
		return this.#byId.get(id);
	}

	ids(): Iterable<number> {
		return this.#byId.keys();
	}

	readonly has = (id: number): boolean => this.#byId.has(id);

	add(client: GatewayClient): void {
		client.place = this.#all.push(client) - 1;
		this.#byId.set(client.id, client);
	}

	/** Does nothing for a client that is not there. */
	remove(client: GatewayClient): void {
		if (client.place < 0) return;
		const last = this.#all.pop()!;
		if (last !== client) {
			last.place = client.place;
			this.#all[client.place] = last;
		}
		client.place = -1;
		this.#byId.delete(client.id);
	}
}
