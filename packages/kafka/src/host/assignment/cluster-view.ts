/** What the ingest needs to know of the other shards. */
export interface ClusterView {
	/** Slots that share the partitions now, in ascending order; this one among them while it takes part. */
	members(): readonly number[];
	/** That life of the slot's shard is certainly over. */
	isGone(slot: number, incarnation: number): boolean;
	/** Tail of the slot's bus ring. */
	ringTail(slot: number): number;
	/** Every shard that reads the slot's bus ring has read, and handed to its clients, all that lies before `tail`. */
	hasBeenRead(slot: number, tail: number): boolean;
}

/** For a shard without siblings. */
export const alone: ClusterView = {
	members: () => [0],
	isGone: (slot, incarnation) => slot !== 0 || incarnation !== 1,
	ringTail: () => 0,
	hasBeenRead: () => true,
};
