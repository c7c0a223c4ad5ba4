import type { IngestMemory } from "../../ingest-memory.ts";
import { type PositionTable, slotOfOwner } from "../../positions/position-table.ts";
import type { ClusterView } from "./cluster-view.ts";

export interface HandOverParts {
	readonly slot: number;
	/** `ownerOf` this shard in its present life. */
	readonly self: number;
	readonly table: PositionTable;
	readonly memory: Pick<IngestMemory, "host">;
	readonly cluster: Pick<ClusterView, "ringTail" | "hasBeenRead">;
}

const noOwner = 0;
/** Dead owners remembered. Beyond it all are looked at again, from the present tails: that waits longer and loses nothing. */
const leftMax = 256;

/**
 * Shared mode: the order of a partition across a change of owner. Each owner writes into its own ring, and readers take from all
 * rings by turns; so the next owner begins only when every shard has read the ring of the one before up to the partition's last
 * record. That costs nothing per record. A shard that does not read holds changes of owner up until it is detached or dead.
 *
 * **One per shard, on its loop.**
 */
export class HandOver {
	readonly #parts: HandOverParts;
	/** Rows that we read no more, and the tail of our ring behind the last record of each. Ours until all have read that far. */
	readonly #leaving = new Map<number, number>();
	/** The tail of a dead owner's ring when we found it dead, by owner; null = all have read that far. Bound: `leftMax`. */
	readonly #left = new Map<number, number | null>();
	#waitsForDead = false;

	constructor(parts: HandOverParts) {
		this.#parts = parts;
	}

	/** Some partition is to change hands once the other shards have caught up: look again soon. */
	get waits(): boolean {
		return this.#leaving.size > 0 || this.#waitsForDead;
	}

	/** Nothing more of the row comes from us. */
	leave(row: number): void {
		this.#leaving.set(row, this.#parts.cluster.ringTail(this.#parts.slot));
	}

	/** The row is wanted here again before it was anybody else's. */
	keep(row: number): void {
		this.#leaving.delete(row);
	}

	/** Frees what we left, if all have read the last of it. */
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

	/** All have read what the dead owner had put on the bus. Its ring may be its next life's by now: what that one writes is not waited for. */
	isReadToItsEnd(owner: number): boolean {
		const { cluster, memory, slot: own } = this.#parts;
		const slot = slotOfOwner(owner);
		// Our records lie behind those of our former life.
		if (slot === own) return true;
		// By owner, not by slot: with two dead lives of one slot, each would start the other's wait again.
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
