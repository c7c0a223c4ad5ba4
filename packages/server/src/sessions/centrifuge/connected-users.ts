import type { CentrifugeSession } from "./centrifuge-session.ts";

/**
 * The connected clients of this shard by their users. Anonymous clients are not in it. One owner, the shard's loop. Bound: the clients.
 * Most users have one connection, which is kept without a set around it: a set costs 200 bytes.
 */
export class ConnectedUsers {
	readonly #sessions = new Map<string, CentrifugeSession | Set<CentrifugeSession>>();
	readonly #onConnected: (session: CentrifugeSession) => void;

	/** @param onConnected told of each client, anonymous ones as well. */
	constructor(onConnected: (session: CentrifugeSession) => void = () => {}) {
		this.#onConnected = onConnected;
	}

	/** Users with at least one connection. */
	get count(): number {
		return this.#sessions.size;
	}

	/** The client has connected. Its user must not change from now on. */
	add(session: CentrifugeSession): void {
		const { user } = session;
		this.#onConnected(session);
		if (user === "") return;
		const present = this.#sessions.get(user);
		if (present === undefined) this.#sessions.set(user, session);
		else if (present instanceof Set) present.add(session);
		else if (present !== session) this.#sessions.set(user, new Set([present, session]));
	}

	/** Nothing if it is not in here. */
	remove(session: CentrifugeSession): void {
		const { user } = session;
		const present = this.#sessions.get(user);
		if (present === session) this.#sessions.delete(user);
		else if (present instanceof Set && present.delete(session) && present.size === 1) this.#sessions.set(user, [...present][0]!);
	}

	/** Those of a user, in the order in which they have connected. */
	of(user: string): readonly CentrifugeSession[] {
		const present = this.#sessions.get(user);
		if (present === undefined) return [];
		return present instanceof Set ? [...present] : [present];
	}
}
