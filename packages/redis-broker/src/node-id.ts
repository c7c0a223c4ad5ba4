/** Identifies one run of a node, so that a restarted node does not mistake messages of its former run for its own. 64 bits. */
export interface NodeId {
	readonly id0: number;
	readonly id1: number;
}
