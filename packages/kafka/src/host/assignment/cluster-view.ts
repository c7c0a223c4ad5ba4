/** What the ingest knows about the other shards. */
export interface ClusterView {
	/** Slots that share the partitions now, in ascending order. Includes this shard while it takes part. */
	members(): readonly number[];
	/** Whether that incarnation's process has certainly ended. */
	isGone(slot: number, incarnation: number): boolean;
	/** Tail of the slot's bus ring. */
	ringTail(slot: number): number;
	/** Whether every reader of the slot's bus ring has read and delivered all records before `tail`. */
	hasBeenRead(slot: number, tail: number): boolean;
}

/** The view of a shard that runs alone. */
export const singleShardView: ClusterView = {
	members: () => [0],
	isGone: (slot, incarnation) => slot !== 0 || incarnation !== 1,
	ringTail: () => 0,
	hasBeenRead: () => true,
};
