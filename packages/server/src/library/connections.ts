import type { ClientSession } from "../sessions/client-session.ts";

/** A client, as the application sees it. */
export interface Connection {
	/** Counts up from 1; never reused by this server. */
	readonly id: number;
	/** IP address. */
	readonly address: string;
	/** The channels in `?channels=…`; empty = all messages. */
	readonly channels: readonly string[];
}

/**
 * The open connections, for the `open` and `close` events of the application. Kept only while there are listeners: without them, clients cost
 * nothing here. Bound: `maxConnections`.
 */
export class Connections {
	readonly #open = new Map<ClientSession, Connection>();
	#opened = 0;

	/** Reads the address now, since a closed socket has none. */
	add(session: ClientSession): Connection {
		const connection = { id: ++this.#opened, address: session.address, channels: session.channels };
		this.#open.set(session, connection);
		return connection;
	}

	/** Undefined when it was opened before there was a listener. */
	remove(session: ClientSession): Connection | undefined {
		const connection = this.#open.get(session);
		this.#open.delete(session);
		return connection;
	}
}
