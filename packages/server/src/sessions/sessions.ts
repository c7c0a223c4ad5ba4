import { type Counters, closedCounter } from "@shardcast/scoreboard";
import { CloseCode } from "@shardcast/wire";
import { noAddressSlot } from "../limits/admission.ts";
import type { ConnectionCheck } from "../limits/connection-check.ts";
import type { Pacing } from "../pacing/pacing.ts";
import type { ClientSession } from "./client-session.ts";
import type { Lanes } from "./lanes/lanes.ts";
import type { LeavingSessions } from "./leaving-sessions.ts";

/** What the registry tells about itself as it changes: the words of the scoreboard's row. */
export interface SessionWords {
	webSockets: number;
	proxiedSeen: number;
}

/** Told as clients come and go. Must not throw: it is called out of the library's own callbacks. */
export interface SessionEvents {
	opened(session: ClientSession): void;
	/** @param code as the client sent it, or as we did. */
	closed(session: ClientSession, code: number): void;
}

export interface SessionsParts {
	readonly lanes: Lanes;
	readonly leaving: LeavingSessions;
	readonly pacing: Pick<Pacing, "forget" | "writable">;
	readonly check: Pick<ConnectionCheck, "left">;
	readonly counters: Pick<Counters, "add">;
	readonly words: SessionWords;
	readonly events: SessionEvents;
	/** Runs the callback in a later phase of the loop, when uWebSockets.js is not in the middle of its topics. */
	readonly soon: (callback: () => void) => void;
}

/**
 * All clients of this shard, from open to close, whatever their protocols: who is there, and how each of them ends. The row of the
 * scoreboard follows every change.
 *
 * One owner, the shard's loop. Bound: `--max-connections` by shard, checked before an upgrade.
 */
export class Sessions {
	/** Those that have to read before they get the next messages. */
	readonly lanes: Lanes;
	readonly #parts: SessionsParts;
	readonly #all: ClientSession[] = [];
	/** Could not take a message; to be closed before anything else is published. */
	#slow: ClientSession[] = [];
	#proxied = 0;

	constructor(parts: SessionsParts) {
		this.#parts = parts;
		this.lanes = parts.lanes;
	}

	get count(): number {
		return this.#all.length;
	}

	/** In no order; changes with each client that comes or goes. */
	get all(): readonly ClientSession[] {
		return this.#all;
	}

	/** In no order that a client could rely on. */
	snapshot(): ClientSession[] {
		return [...this.#all];
	}

	opened(session: ClientSession): void {
		session.place = this.#all.push(session) - 1;
		session.join();
		if (session.told?.byBalancer) this.#proxied++;
		this.#parts.counters.add("opened", 1);
		this.#changed();
		this.#parts.events.opened(session);
	}

	writable(session: ClientSession): void {
		this.lanes.writable(session);
		this.#parts.leaving.writable(session);
		this.#parts.pacing.writable(session);
	}

	/**
	 * A message was not written to this client because it reads too slowly. Nothing may be changed here: uWebSockets.js is going
	 * through its topics. What it publishes until the next flush is dropped as well, since it looks at sockets in between only.
	 */
	dropped(session: ClientSession): void {
		this.#parts.counters.add("droppedMessages", 1);
		if (session.leaving !== 0) return;
		session.leaving = CloseCode.slow;
		if (this.#slow.push(session) === 1) this.#parts.soon(this.closeSlow);
	}

	/** @param code as the client sent it or as we did. */
	closed(session: ClientSession, code: number): void {
		const { leaving, pacing, check, counters, events } = this.#parts;
		this.#remove(session);
		pacing.forget(session);
		this.lanes.forget(session);
		session.gone();
		if (session.leaving !== 0) leaving.closed(session);
		check.left(session.addressSlot);
		session.addressSlot = noAddressSlot;
		if (session.told?.byBalancer) this.#proxied--;
		const counted = session.leaving || code;
		counters.add("closed", 1);
		counters.add(closedCounter(counted), 1);
		this.#changed();
		events.closed(session, counted);
	}

	/** Before anything is published: nothing may follow a gap. */
	readonly closeSlow = (): void => {
		if (this.#slow.length === 0) return;
		const slow = this.#slow;
		this.#slow = [];
		for (const session of slow) if (session.place >= 0) this.#close(session, CloseCode.slow);
	};

	/** See `ClientSession.close`. */
	close(session: ClientSession, code: number): void {
		if (session.place >= 0 && session.leaving === 0) this.#close(session, code);
	}

	#close(session: ClientSession, code: number): void {
		this.#parts.pacing.forget(session);
		this.lanes.forget(session);
		session.leave();
		this.#parts.leaving.close(session, code);
	}

	/** Nothing for one whose opening failed before it was in the list. */
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
