import type { Counters } from "@shardcast/scoreboard";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { CommandTurns } from "./command-turns.ts";

interface ReplyRoomParts {
	readonly turns: CommandTurns;
	readonly counters: Pick<Counters, "add">;
	/** Over all clients of a shard. 256 MiB; replaced in tests. */
	readonly bytesMax?: number | undefined;
}

const usualBytesMax = 256 * 1024 * 1024;

/**
 * Memory for long replies that clients have not read yet. While it is full, commands with long replies wait: otherwise a thousand clients that
 * reconnect together and do not read would take the memory of a thousand replies. While others wait, `UnreadLimit` closes those that read nothing.
 *
 * Owned by the shard's loop. Bound: 256 MiB, plus one reply.
 */
export class ReplyRoom {
	readonly #parts: ReplyRoomParts;
	readonly #bytesMax: number;

	constructor(parts: ReplyRoomParts) {
		this.#parts = parts;
		this.#bytesMax = parts.bytesMax ?? usualBytesMax;
	}

	isFull({ sessions }: CentrifugeSession): boolean {
		return sessions.lanes.memory.replyBytes > this.#bytesMax;
	}

	/** Resolves when there is room, or when the client has disconnected. One client in each turn, which must reply before it yields. */
	async free(session: CentrifugeSession): Promise<void> {
		if (!this.isFull(session)) return;
		this.#parts.counters.add("commandsHeldForMemory", 1);
		const { memory } = session.sessions.lanes;
		session.waitsForMemory = true;
		memory.waitingForReplies++;
		try {
			// An earlier client may have filled it again.
			while (!session.isGone && this.isFull(session)) await this.#parts.turns.read(() => session.isGone || !this.isFull(session));
		} finally {
			memory.waitingForReplies--;
			session.waitsForMemory = false;
		}
	}
}
