/** A node between its start and its end: a restarted one has another, so that it does not take what the former one sent for its own. 64 bits. */
export interface NodeId {
	readonly id0: number;
	readonly id1: number;
}
