import { NativeError, SharedFile } from "@shardcast/native";
import { attachRing, hasBeenRead, type Ring, RingLayout } from "@shardcast/ring";
import { type ClusterDirectory, type Scoreboard, ShardState } from "@shardcast/scoreboard";
import type { ClusterView } from "./cluster-view.ts";

/** The other shards, as shown by the scoreboard. */
export class ScoreboardView implements ClusterView {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;
	/** At most one ring per slot. */
	readonly #rings = new Map<number, { readonly generation: number; readonly file: SharedFile; readonly ring: Ring }>();

	constructor(directory: ClusterDirectory, board: Scoreboard) {
		this.#directory = directory;
		this.#board = board;
	}

	members(): readonly number[] {
		const serving = this.#board.rows().filter((row) => row.state === ShardState.serving);
		return serving.map((row) => row.slot).toSorted((a, b) => a - b);
	}

	isGone(slot: number, incarnation: number): boolean {
		const row = this.#board.row(slot);
		// The supervisor increments the incarnation, or marks a shard dead, only after its process has ended.
		return !row.present || row.incarnation !== incarnation || row.state === ShardState.dead || row.state === ShardState.empty;
	}

	ringTail(slot: number): number {
		const ring = this.#ring(slot);
		return ring === null ? Number.NaN : Atomics.load(ring.words, RingLayout.tailOffset >> 2);
	}

	hasBeenRead(slot: number, tail: number): boolean {
		const ring = this.#ring(slot);
		return ring === null || hasBeenRead(ring, tail);
	}

	/** Unmaps the rings. */
	close(): void {
		for (const { file } of this.#rings.values()) file.close();
		this.#rings.clear();
	}

	/** Maps the ring on first use. Null when the slot was removed, which happens only after its ring has been read to the end. */
	#ring(slot: number): Ring | null {
		const { ringGeneration: generation } = this.#board.row(slot);
		const mapped = this.#rings.get(slot);
		if (mapped?.generation === generation) return mapped.ring;
		mapped?.file.close();
		this.#rings.delete(slot);
		try {
			const file = SharedFile.open(this.#directory.ringPath(slot, generation));
			const ring = attachRing(file.buffer);
			this.#rings.set(slot, { generation, file, ring });
			return ring;
		} catch (error) {
			if (error instanceof NativeError && error.code === "ENOENT") return null;
			throw error;
		}
	}
}
