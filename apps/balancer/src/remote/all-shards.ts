import type { Scoreboard } from "@shardcast/scoreboard";
import type { ShardRow } from "../pick/candidate.ts";
import type { RemoteShards } from "./remote-shards.ts";

/** The shards of this machine, and then those of others. */
export class AllShards {
	readonly #board: Scoreboard;
	readonly #remotes: Pick<RemoteShards, "changes" | "rows">;

	constructor(board: Scoreboard, remotes: Pick<RemoteShards, "changes" | "rows">) {
		this.#board = board;
		this.#remotes = remotes;
	}

	/** Changes whenever one of both does. */
	get membershipEpoch(): number {
		return this.#board.membershipEpoch + this.#remotes.changes * 2 ** 32;
	}

	get guards(): Scoreboard["guards"] {
		return this.#board.guards;
	}

	rows(): ShardRow[] {
		return [...this.#board.rows(), ...this.#remotes.rows];
	}
}
