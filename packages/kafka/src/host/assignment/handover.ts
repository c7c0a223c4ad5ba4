import type { IngestMemory } from "../../ingest-memory.ts";
import { type PositionTable, slotOfOwner } from "../../positions/position-table.ts";
import type { ClusterView } from "./cluster-view.ts";

interface HandoverParts {
	readonly slot: number;
	/** `ownerOf` this shard's current incarnation. */
	readonly self: number;
	readonly table: PositionTable;
	readonly memory: Pick<IngestMemory, "host">;
	readonly cluster: Pick<ClusterView, "ringTail" | "hasBeenRead">;
}

const noOwner = 0;
/** Most dead owners remembered. Beyond it all are checked again from the current tails, which takes longer but loses nothing. */
const leftMax = 256;

/**
 * Keeps the order of a partition across a change of owner in shared mode. Each owner writes to its own ring, and shards read the rings in
 * turn. So the next owner starts only when every shard has read the former owner's ring up to the partition's last record. This costs
 * nothing per record. A shard that does not read delays changes of owner until it is detached or dead.
 *
 * **One per shard, on its loop.**
 */
export class Handover {
	readonly #parts: HandoverParts;
	/** Rows that this shard has stopped reading, with the tail of its ring after their last record. It owns them until all have read that far. */
	readonly #leaving = new Map<number, number>();
	/** By dead owner: the tail of its ring when it was found dead; null = all have read that far. Bound: `leftMax`. */
	readonly #left = new Map<number, number | null>();
	#waitsForDead = false;

	constructor(parts: HandoverParts) {
		this.#parts = parts;
	}

	/** True while a change of owner waits for other shards to catch up. Check again soon. */
	get waits(): boolean {
		return this.#leaving.size > 0 || this.#waitsForDead;
	}

	/** Call when this shard will put no more records of the row on the bus. */
	leave(row: number): void {
		this.#leaving.set(row, this.#parts.cluster.ringTail(this.#parts.slot));
	}

	/** Call when this shard takes the row back before another one has taken it. */
	keep(row: number): void {
		this.#leaving.delete(row);
	}

	/** Releases the rows that were left and whose last record all shards have read. */
	look(): void {
		const { slot, self, table, memory, cluster } = this.#parts;
		this.#waitsForDead = false;
		for (const [row, tail] of this.#leaving) {
			if (!cluster.hasBeenRead(slot, tail)) {
				memory.host.add("readerWaits");
				continue;
			}
			this.#leaving.delete(row);
			table.changeOwner(row, self, noOwner);
		}
	}

	/** Whether all shards have read the dead owner's records. Its ring may be in use by its next incarnation, whose records do not count. */
	isReadToItsEnd(owner: number): boolean {
		const { cluster, memory, slot: own } = this.#parts;
		const slot = slotOfOwner(owner);
		// It was this slot's earlier incarnation: the records are in the same ring, before ours.
		if (slot === own) return true;
		// By owner, not by slot: with two dead incarnations of one slot, each would restart the wait for the other.
		let tail = this.#left.get(owner);
		if (tail === undefined) tail = cluster.ringTail(slot);
		if (tail !== null && cluster.hasBeenRead(slot, tail)) tail = null;
		if (this.#left.size >= leftMax) this.#left.clear();
		this.#left.set(owner, tail);
		if (tail === null) return true;
		this.#waitsForDead = true;
		memory.host.add("readerWaits");
		return false;
	}
}
