import type { Counters } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import type { ClientSession } from "./client-session.ts";

interface LeavingSessionsOptions {
	/** `--max-buffered`: above it, uWebSockets.js sends nothing to a client, not even a close frame. */
	readonly bufferedBytesMax: () => number;
	/** How long a client may take to make room for its close frame, in milliseconds. */
	readonly deadlineMs: number;
	readonly nowMs: () => number;
	/** Runs the callback and resets the connections that it closes. Returns how many. */
	readonly resetting: (close: () => void) => number;
	readonly counters: Pick<Counters, "add">;
}

/** Space for the close frame. */
const closeFrameBytes = 256;

/**
 * Clients that are being closed but have too much unread data for a close frame. What they receive stays without a gap: they are in no topic, so
 * the close frame follows the last message that they could take. A client that does not even read that far is reset at the deadline; otherwise
 * the kernel would keep its unsent data, some MB, for a minute or more.
 *
 * Owned by the shard's loop. Bound: the number of clients, each for at most `deadlineMs`.
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

	/** Closes a client that is in no topic, now or as soon as there is room for the close frame. */
	close(session: ClientSession, code: number): void {
		session.leaving = code;
		if (!this.#tell(session)) this.#deadlines.set(session, this.#options.nowMs() + this.#options.deadlineMs);
	}

	/** The client has read something. */
	writable(session: ClientSession): void {
		if (this.#deadlines.has(session)) this.#tell(session);
	}

	/** The connection has closed. */
	closed(session: ClientSession): void {
		this.#deadlines.delete(session);
	}

	/** Resets the clients whose deadline has passed. Called about once a second. */
	expire(): void {
		const nowMs = this.#options.nowMs();
		const expired: ClientSession[] = [];
		for (const [session, deadlineMs] of this.#deadlines) if (deadlineMs <= nowMs) expired.push(session);
		this.cut(expired);
	}

	/** Resets the connections of clients that do not read. Pass many in one call: each call looks at every descriptor of the process. */
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
