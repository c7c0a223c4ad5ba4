import { randomBytes } from "node:crypto";

/** One start of a node: another one after a restart, so that nobody takes what the former one sent for its own. 64 bits. */
export interface NodeId {
	readonly id0: number;
	readonly id1: number;
}

export function newNodeId(): NodeId {
	const bytes = randomBytes(8);
	return { id0: bytes.readInt32LE(0), id1: bytes.readInt32LE(4) };
}
