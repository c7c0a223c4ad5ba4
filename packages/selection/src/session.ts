/** Where the clients of a user, or of a connection, belong. */
export interface SessionRequest {
	readonly of: "user" | "connection";
	/** Of the user or the connection, at most 255 bytes. */
	readonly id: string;
	/** The node that gets the session if it cannot be followed. */
	readonly node: string;
	/** The nodes with which a session is followed; none = `node` gets it in any case. */
	readonly follow: readonly string[];
	/** Of the client; "" = unknown. */
	readonly address: string;
	/** JSON of the application, at most 4 KiB; "" = as before. */
	readonly metadata: string;
}

/**
 * - kept: there was a session with a node that can take the client
 * - moved: its node cannot, so the chosen one has it now
 * - new: there was none
 * - full: too many sessions have been made; the chosen node is not remembered
 * - unavailable: Redis cannot be reached; the chosen node is not remembered
 */
export type SessionOutcome = "kept" | "moved" | "new" | "full" | "unavailable";

export interface SessionAnswer {
	readonly node: string;
	readonly outcome: SessionOutcome;
}

/** How clients that belong together get the same node. */
export type Affinity = "none" | "user" | "connection" | "hash" | "region";
