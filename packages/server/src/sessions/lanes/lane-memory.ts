import type { SharedFrame } from "../../delivery/shared-frame.ts";

/** About what an entry of a lane costs in memory besides its frame. */
export const entryBytes = 128;

/**
 * What waits in all lanes of a shard, as memory: a publication that waits for many clients has its bytes once. Owned by the shard's loop. The bound
 * is that of `UnreadLimit`.
 */
export class LaneMemory {
	/** Unread bytes of replies and other messages that may not be dropped. A long message counts until its last part has been sent. */
	replyBytes = 0;
	/** Clients with a command that waits until others have read their replies. Written only by `ReplyRoom`. */
	waitingForReplies = 0;
	#bytes = 0;
	#messages = 0;

	get bytes(): number {
		return this.#bytes;
	}

	/** Without the replies, which have a limit elsewhere: `ReplyRoom`. */
	get publicationBytes(): number {
		return this.#bytes - this.replyBytes;
	}

	/** The number of messages; one that waits for two clients counts twice. */
	get messages(): number {
		return this.#messages;
	}

	/** The frame waits in one lane more. */
	take(frame: SharedFrame): void {
		this.#messages++;
		this.#bytes += entryBytes + (frame.holders++ === 0 ? frame.bytes.length : 0);
	}

	/** It does not wait there any more. */
	give(frame: SharedFrame): void {
		this.#messages--;
		this.#bytes -= entryBytes + (--frame.holders === 0 ? frame.bytes.length : 0);
	}
}
