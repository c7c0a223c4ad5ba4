import type { ClientSession } from "./client-session.ts";

interface DirectMessagesParts {
	/** The connections of a user on this shard, of all protocols. */
	readonly ofUser: (user: string) => readonly ClientSession[];
	/** A copy of the list of all clients. */
	readonly all: () => readonly ClientSession[];
}

/** A message to connections. Each protocol frames it once for all its clients. */
export class DirectMessage {
	/** JSON. Not in a ring, so it may be kept. */
	readonly payload: Uint8Array;
	readonly #frames = new Map<object, Uint8Array>();

	constructor(payload: Uint8Array) {
		this.payload = payload;
	}

	/** @param make called for the first client with this framing. */
	frameFor(framing: object, make: (payload: Uint8Array) => Uint8Array): Uint8Array {
		let frame = this.#frames.get(framing);
		if (frame === undefined) {
			frame = make(this.payload);
			this.#frames.set(framing, frame);
		}
		return frame;
	}
}

/** Delivers messages to connections, outside of channels: to those of a user, or to all. Costs one call per connection. **One per shard.** */
export class DirectMessages {
	readonly #parts: DirectMessagesParts;

	constructor(parts: DirectMessagesParts) {
		this.#parts = parts;
	}

	/**
	 * @param user null = all clients. @param payload is in the ring; it is copied if there is a client.
	 * @returns the number of clients that got it.
	 */
	deliver(user: string | null, payload: Uint8Array): number {
		const { ofUser, all } = this.#parts;
		const clients = user === null ? all() : ofUser(user);
		if (clients.length === 0) return 0;
		const message = new DirectMessage(Uint8Array.from(payload));
		let reached = 0;
		for (const client of clients) if (!client.isGone && client.receive(message)) reached++;
		return reached;
	}
}
