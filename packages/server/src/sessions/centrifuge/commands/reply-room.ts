import type { Counters } from "@shardcast/scoreboard";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { CommandTurns } from "./command-turns.ts";

export interface ReplyRoomParts {
	readonly turns: CommandTurns;
	readonly counters: Pick<Counters, "add">;
	/** Of all clients of a shard. 256 MiB; replaced in tests. */
	readonly bytesMax?: number | undefined;
}

const usualBytesMax = 256 * 1024 * 1024;

/**
 * Memory for long replies that clients have not read yet. While it is full, whatever brings more of them waits: a thousand clients that come back
 * together and do not read would take a thousand replies of memory.
 *
 * One owner, the shard's loop. Bound: 256 MiB, and one reply more.
 */
export class ReplyRoom {
	readonly #parts: ReplyRoomParts;
	readonly #bytesMax: number;

	constructor(parts: ReplyRoomParts) {
		this.#parts = parts;
		this.#bytesMax = parts.bytesMax ?? usualBytesMax;
	}

	isFull({ sessions }: CentrifugeSession): boolean {
		return sessions.lanes.unreadBytes > this.#bytesMax;
	}

	/** Resolves when there is room again, or the client is gone: one client in each turn, who replies before it gives up that turn. */
	async free(session: CentrifugeSession): Promise<void> {
		if (!this.isFull(session)) return;
		this.#parts.counters.add("commandsHeldForMemory", 1);
		// Whoever was first may have filled it again.
		while (!session.isGone && this.isFull(session)) await this.#parts.turns.read(() => session.isGone || !this.isFull(session));
	}
}
