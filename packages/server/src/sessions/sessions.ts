import { type Counters, closedCounter } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import { noAddressSlot } from "../limits/admission.ts";
import type { ConnectionCheck } from "../limits/connection-check.ts";
import type { Pacing } from "../pacing/pacing.ts";
import type { ClientSession } from "./client-session.ts";
import type { Lanes } from "./lanes/lanes.ts";
import type { LeavingSessions } from "./leaving-sessions.ts";
import type { UnreadLimit } from "./unread-limit.ts";

/** Where the registry reports its size as it changes: words of the scoreboard's row. */
interface SessionWords {
	webSockets: number;
	proxiedSeen: number;
}

/** Called as clients connect and disconnect. Must not throw, because the library's callbacks call it. */
export interface SessionEvents {
	opened(session: ClientSession): void;
	/** @param code as sent by the client or by us. */
	closed(session: ClientSession, code: number): void;
}

export interface SessionsParts {
	readonly lanes: Lanes;
	readonly leaving: LeavingSessions;
	readonly pacing: Pick<Pacing, "forget" | "writable">;
	readonly unread: Pick<UnreadLimit, "forget" | "writable">;
	readonly check: Pick<ConnectionCheck, "left">;
	readonly counters: Pick<Counters, "add">;
	readonly words: SessionWords;
	readonly events: SessionEvents;
	/** Runs the callback in a later phase of the loop, when uWebSockets.js is not processing its topics. */
	readonly soon: (callback: () => void) => void;
}

/**
 * The registry of this shard's clients, from open to close, whatever their protocols. It also closes them, and updates the row of the scoreboard
 * on every change.
 *
 * Owned by the shard's loop. Bound: `--max-connections` for each shard, checked before an upgrade.
 */
export class Sessions {
	/** Clients that are behind. */
	readonly lanes: Lanes;
	readonly #parts: SessionsParts;
	readonly #all: ClientSession[] = [];
	/** Clients that could not take a message. They are closed before anything else is published. */
	#slow: ClientSession[] = [];
	#proxied = 0;

	constructor(parts: SessionsParts) {
		this.#parts = parts;
		this.lanes = parts.lanes;
	}

	get count(): number {
		return this.#all.length;
	}

	/** In no particular order; changes when a client connects or disconnects. */
	get all(): readonly ClientSession[] {
		return this.#all;
	}

	/** A copy, in no particular order. */
	snapshot(): ClientSession[] {
		return [...this.#all];
	}

	opened(session: ClientSession): void {
		session.place = this.#all.push(session) - 1;
		session.join();
		if (session.forwarded?.byBalancer) this.#proxied++;
		this.#parts.counters.add("opened", 1);
		this.#changed();
		this.#parts.events.opened(session);
	}

	writable(session: ClientSession): void {
		this.lanes.writable(session);
		this.#parts.leaving.writable(session);
		this.#parts.pacing.writable(session);
		this.#parts.unread.writable(session);
	}

	/**
	 * A message was not written to this client because it reads too slowly. Nothing may be changed in this call: uWebSockets.js is processing
	 * its topics. Messages that it publishes until the next flush are dropped as well, since it checks sockets only in between.
	 */
	dropped(session: ClientSession): void {
		this.#parts.counters.add("droppedMessages", 1);
		if (session.leaving !== 0) return;
		session.leaving = CloseCode.slow;
		if (this.#slow.push(session) === 1) this.#parts.soon(this.closeSlow);
	}

	/** @param code as sent by the client or by us. */
	closed(session: ClientSession, code: number): void {
		const { leaving, pacing, unread, check, counters, events } = this.#parts;
		this.#remove(session);
		pacing.forget(session);
		unread.forget(session);
		this.lanes.forget(session);
		session.gone();
		if (session.leaving !== 0) leaving.closed(session);
		check.left(session.addressSlot);
		session.addressSlot = noAddressSlot;
		if (session.forwarded?.byBalancer) this.#proxied--;
		const counted = session.leaving || code;
		counters.add("closed", 1);
		counters.add(closedCounter(counted), 1);
		this.#changed();
		events.closed(session, counted);
	}

	/** Called before anything is published, so that nothing follows a gap. */
	readonly closeSlow = (): void => {
		if (this.#slow.length === 0) return;
		const slow = this.#slow;
		this.#slow = [];
		for (const session of slow) if (session.place >= 0) this.#close(session, CloseCode.slow);
	};

	/** Closes clients that do not read, without a close frame: what waits for them is freed at once. */
	readonly cutSlow = (sessions: readonly ClientSession[]): void => {
		for (const session of sessions) {
			if (session.place < 0 || session.leaving !== 0) continue;
			this.#retire(session);
			session.leaving = CloseCode.slow;
		}
		this.#parts.leaving.cut(sessions.filter(({ place }) => place >= 0));
	};

	/** See `ClientSession.close`. */
	close(session: ClientSession, code: number): void {
		if (session.place >= 0 && session.leaving === 0) this.#close(session, code);
	}

	#close(session: ClientSession, code: number): void {
		this.#retire(session);
		this.#parts.leaving.close(session, code);
	}

	#retire(session: ClientSession): void {
		this.#parts.pacing.forget(session);
		this.lanes.leaving(session);
		session.leave();
	}

	/** Does nothing for a session that failed while it was opened. */
	#remove(session: ClientSession): void {
		if (session.place < 0) return;
		const last = this.#all.pop()!;
		if (last !== session) {
			last.place = session.place;
			this.#all[session.place] = last;
		}
		session.place = -1;
	}

	#changed(): void {
		const { words } = this.#parts;
		words.webSockets = this.#all.length;
		words.proxiedSeen = this.#proxied;
	}
}
