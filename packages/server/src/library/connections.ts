import type { ClientSession } from "../sessions/client-session.ts";

/** A client as the program sees it. */
export interface Connection {
	/** Counts up from 1 and is never used again by this server. */
	readonly id: number;
	/** IP address. */
	readonly address: string;
	/** What it gave as `?channels=…`; none = it hears everything. */
	readonly channels: readonly string[];
}

/**
 * The connections that are open now, for the program's open and close events. Kept only if somebody listens: a server that
 * nobody asks pays nothing for each client. Bound: `maxConnections`.
 */
export class Connections {
	readonly #open = new Map<ClientSession, Connection>();
	#opened = 0;

	/** The address is read here, since a closed socket has none. */
	add(session: ClientSession): Connection {
		const connection = { id: ++this.#opened, address: session.address, channels: session.channels };
		this.#open.set(session, connection);
		return connection;
	}

	/** Undefined when it was opened before anybody listened. */
	remove(session: ClientSession): Connection | undefined {
		const connection = this.#open.get(session);
		this.#open.delete(session);
		return connection;
	}
}
