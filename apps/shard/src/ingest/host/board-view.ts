import { type ClusterDirectory, type Scoreboard, ShardState } from "@shardcast/bus";
import { NativeError, SharedFile } from "@shardcast/native";
import { attachRing, RingLayout } from "@shardcast/ring";
import type { ClusterView } from "./cluster-view.ts";

/** The other shards, as the scoreboard tells. */
export class BoardView implements ClusterView {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;

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
		// The supervisor counts a new incarnation, and calls a shard dead, only after its process has ended.
		return !row.present || row.incarnation !== incarnation || row.state === ShardState.dead || row.state === ShardState.empty;
	}

	ringTail(slot: number): number {
		try {
			const file = SharedFile.open(this.#directory.ringPath(slot, this.#board.row(slot).ringGeneration));
			try {
				return Atomics.load(attachRing(file.buffer).words, RingLayout.tailOffset >> 2);
			} finally {
				file.close();
			}
		} catch (error) {
			// A slot that was removed: whatever it had published was read to the end before.
			if (error instanceof NativeError && error.code === "ENOENT") return Number.NaN;
			throw error;
		}
	}
}
