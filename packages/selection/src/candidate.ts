/** What can take a new client, such as a node: as much as a strategy needs to know of it. */
export interface Candidate {
	/** Unique among the candidates. */
	readonly id: string;
	/** Its share of new clients compared with the others; above 0. */
	readonly weight: number;
	/** Including clients that were sent to it a moment ago. */
	readonly connections: number;
	/** Above `connections`. */
	readonly maxConnections: number;
	/** CPU time in use, 0 to about 1. */
	readonly cpu: number;
	/** Memory in use, 0 to 1. */
	readonly memory: number;
	/** Delay of its event loop. */
	readonly loopLagMs: number;
}

/** The clients that it would have with one more, in proportion to its weight. */
export function loadWithOneMore({ connections, weight }: Candidate): number {
	return (connections + 1) / weight;
}
