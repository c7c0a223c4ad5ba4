/** Keys and channels in Redis. See docs/reference/nodes.md. */
export interface NodeKeys {
	/** JSON about one node; it expires after the node timeout. */
	node(id: string): string;
	/** Sorted set: ids of nodes by when they expire, in milliseconds since 1970 by the clock of Redis. */
	readonly nodes: string;
	/** Counts joins. */
	readonly term: string;
	/** Hash: totals of all nodes. */
	readonly metrics: string;
	/** Hash: the last scale event. */
	readonly scale: string;
	/** Channel: nodes that have joined, left or changed, and scale events, as JSON. */
	readonly events: string;
	/** Sharded channel: questions and orders for all nodes. */
	readonly control: string;
	/** Sharded channel: answers for one process of a node. */
	answers(instance: string): string;
	/** JSON: which node the clients of a user, or a connection, belong to. Not in the slot of the others: each is used by itself. */
	session(of: "user" | "connection", id: string): string;
	/** Blocked users and revoked tokens. */
	readonly revocations: {
		/** Hash: epoch and version. */
		readonly state: string;
		/** Hash: entries as JSON, by kind and id. */
		readonly entries: string;
		/** Sorted set: kind and id by when they expire, in milliseconds since 1970. */
		readonly until: string;
		/** Stream: the last changes; the id is the version. */
		readonly changes: string;
	};
}

/** @param isCluster all keys then have a hash tag, so that they are in one slot: a script may use only keys of one. */
export function nodeKeys(prefix: string, isCluster: boolean): NodeKeys {
	const base = isCluster ? `{${prefix}:cluster}` : `${prefix}:cluster`;
	return {
		node: (id) => `${base}:node:${id}`,
		nodes: `${base}:nodes`,
		term: `${base}:term`,
		metrics: `${base}:metrics`,
		scale: `${base}:scale`,
		events: `${base}:events`,
		control: `${base}:control`,
		answers: (instance) => `${base}:answers:${instance}`,
		session: (of, id) => `${prefix}:session:${of === "user" ? "user" : "conn"}:${id}`,
		revocations: {
			state: `${base}:revocations`,
			entries: `${base}:revocations:entries`,
			until: `${base}:revocations:until`,
			changes: `${base}:revocations:changes`,
		},
	};
}
