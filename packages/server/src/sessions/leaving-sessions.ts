import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { ClientSession } from "./client-session.ts";

export interface LeavingSessionsOptions {
	/** `--max-buffered`: above it uWebSockets.js sends nothing to a client any more, not even a close frame. */
	readonly bufferedBytesMax: () => number;
	/** How long a client may take to read so much that a close frame fits behind what it already has. */
	readonly deadlineMs: number;
	readonly nowMs: () => number;
	/** Runs the callback and resets the connections that it closes; returns how many. */
	readonly resetting: (close: () => void) => number;
	readonly counters: Pick<Counters, "add">;
}

/** Room for the close frame itself. */
const closeFrameBytes = 256;

/**
 * Clients that are being closed but have too much unread to be told why. What they have stays contiguous: they are out of all
 * topics, so after the first message that they could not take comes nothing but the close frame, once there is room for it.
 * A client that does not even read that far is cut when its time is up: its connection is reset, or the kernel would keep what is unsent,
 * some MB, for a minute or more.
 *
 * One owner, the shard's loop. Bound: the number of clients; each stays `deadlineMs` at most.
 */
export class LeavingSessions {
	readonly #options: LeavingSessionsOptions;
	readonly #deadlines = new Map<ClientSession, number>();

	constructor(options: LeavingSessionsOptions) {
		this.#options = options;
	}

	get count(): number {
		return this.#deadlines.size;
	}

	/** Closes a client that is out of all topics, now or as soon as it can be told the code. */
	close(session: ClientSession, code: number): void {
		session.leaving = code;
		if (!this.#tell(session)) this.#deadlines.set(session, this.#options.nowMs() + this.#options.deadlineMs);
	}

	/** The client has read something. */
	writable(session: ClientSession): void {
		if (this.#deadlines.has(session)) this.#tell(session);
	}

	/** The connection is gone. */
	closed(session: ClientSession): void {
		this.#deadlines.delete(session);
	}

	/** Cuts those whose time is up. About once a second. */
	expire(): void {
		const nowMs = this.#options.nowMs();
		const expired: ClientSession[] = [];
		for (const [session, deadlineMs] of this.#deadlines) if (deadlineMs <= nowMs) expired.push(session);
		this.cut(expired);
	}

	/** Resets the connections of clients that do not read. Many in one call: each looks at every descriptor of the process. */
	cut(sessions: readonly ClientSession[]): void {
		if (sessions.length === 0) return;
		const reset = this.#options.resetting(() => {
			for (const { transport } of sessions) transport.close();
		});
		this.#options.counters.add("clientsReset", reset);
	}

	#tell(session: ClientSession): boolean {
		const { transport } = session;
		if (transport.getBufferedAmount() + closeFrameBytes > this.#options.bufferedBytesMax()) return false;
		session.end(session.leaving || CloseCode.goingAway);
		return true;
	}
}
