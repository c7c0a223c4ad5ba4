/**
 * This shard's connected clients of one protocol by user, without anonymous ones. Owned by the shard's loop. Bound: the number of clients. Most users have one
 * connection, which is stored without a set: a set costs 200 bytes.
 */
export class ConnectedUsers<Session extends { readonly user: string }> {
	readonly #sessions = new Map<string, Session | Set<Session>>();
	readonly #onConnected: (session: Session) => void;

	/** @param onConnected called for each client, also for anonymous ones. */
	constructor(onConnected: (session: Session) => void = () => {}) {
		this.#onConnected = onConnected;
	}

	/** Users with at least one connection. */
	get count(): number {
		return this.#sessions.size;
	}

	/** The client has connected. Its user must not change after this. */
	add(session: Session): void {
		const { user } = session;
		this.#onConnected(session);
		if (user === "") return;
		const present = this.#sessions.get(user);
		if (present === undefined) this.#sessions.set(user, session);
		else if (present instanceof Set) present.add(session);
		else if (present !== session) this.#sessions.set(user, new Set([present, session]));
	}

	/** Does nothing if it was not added. */
	remove(session: Session): void {
		const { user } = session;
		const present = this.#sessions.get(user);
		if (present === session) this.#sessions.delete(user);
		else if (present instanceof Set && present.delete(session) && present.size === 1) this.#sessions.set(user, [...present][0]!);
	}

	/** The connections of a user, in the order in which they connected. */
	of(user: string): readonly Session[] {
		const present = this.#sessions.get(user);
		if (present === undefined) return [];
		return present instanceof Set ? [...present] : [present];
	}
}
