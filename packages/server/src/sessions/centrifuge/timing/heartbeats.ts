import { DisconnectCode } from "@shardcast/protocol";
import { Deadlines } from "../../deadlines.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { HookCalls } from "../hooks/hook-calls.ts";
import type { HookRefreshes } from "../hooks/hook-refreshes.ts";
import { PongState } from "./pong-state.ts";

export interface HeartbeatsParts {
	/** Read at each use. */
	readonly times: {
		readonly pingIntervalMs: number;
		readonly pongTimeoutMs: number;
		readonly staleCloseDelayMs: number;
		readonly expiredCloseDelayMs: number;
	};
	/** Monotonic, in seconds. */
	readonly now: () => number;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
	readonly random: () => number;
	readonly calls: Pick<HookCalls, "waits">;
	/** Asks a backend about connections that expire, in place of the client. */
	readonly refreshes: Pick<HookRefreshes, "isOn" | "begin">;
}

/** A client that reads more slowly has no pong for it: it could hold the memory of a long reply for as long as it likes. */
const slowestBytesPerSecond = 32 * 1024;

/**
 * Everything about a client that depends on time: pings and pongs, the time limit for connecting, token expiry. One wheel that turns once a
 * second serves all clients; no client has a timer.
 */
export class Heartbeats {
	readonly #parts: HeartbeatsParts;
	readonly #deadlines: Deadlines;
	/** Clients with a ping behind something that they had not read: until when they may read before it. */
	readonly #readUntil = new Map<CentrifugeSession, number>();

	constructor(parts: HeartbeatsParts) {
		this.#parts = parts;
		this.#deadlines = new Deadlines(parts.now());
	}

	/** Clients with a deadline: all that are connected here. */
	get count(): number {
		return this.#deadlines.count;
	}

	opened(session: CentrifugeSession): void {
		this.#deadlines.set(session, this.#parts.now() + this.#parts.times.staleCloseDelayMs / 1000);
	}

	/** The client has connected. Its first ping comes after half to one interval, so that clients that arrive together are not pinged together. */
	connected(session: CentrifugeSession): void {
		const { times, now, random } = this.#parts;
		if (!session.framePings) session.pingAt = now() + (times.pingIntervalMs / 1000) * (0.5 + random() / 2);
		this.#plan(session);
	}

	/** The client, or one of its subscriptions, has a new token. */
	refreshed(session: CentrifugeSession): void {
		this.#plan(session);
	}

	/** False = there was no ping to answer. */
	pong(session: CentrifugeSession): boolean {
		if (session.pong === PongState.none) return false;
		const { pingIntervalMs, pongTimeoutMs } = this.#parts.times;
		session.pong = PongState.none;
		this.#readUntil.delete(session);
		session.pingAt += Math.max(0, pingIntervalMs - pongTimeoutMs) / 1000;
		this.#plan(session);
		return true;
	}

	due(session: CentrifugeSession, now: number): void {
		const { times, unixTime } = this.#parts;
		if (session.state !== "connected") {
			// It has sent its connect, and a backend takes its time, which is bounded.
			if (this.#parts.calls.waits(session)) this.opened(session);
			else session.close(DisconnectCode.stale);
			return;
		}
		if (unixTime() >= this.#endsAt(session) && !this.#parts.refreshes.begin(session)) {
			session.close(DisconnectCode.expired);
			return;
		}
		if (session.subscriptionsDueAt <= unixTime()) {
			session.expireSubscriptions(unixTime());
			if (session.isGone) return;
		}
		if (now >= session.pingAt) {
			if (session.pong !== PongState.none) {
				if (!this.#readsOn(session, now)) {
					session.close(DisconnectCode.noPong);
					return;
				}
				session.pong = PongState.awaited;
				session.pingAt = now + times.pongTimeoutMs / 1000;
				this.#plan(session);
				return;
			}
			// A client that only listens does not answer.
			const { isUni } = session.framing;
			session.pong = isUni ? PongState.none : PongState.awaited;
			session.pingAt = now + (isUni ? times.pingIntervalMs : times.pongTimeoutMs) / 1000;
			const ahead = session.transport.getBufferedAmount();
			if (ahead > 0 && !isUni) this.#readUntil.set(session, session.pingAt + ahead / slowestBytesPerSecond);
			session.transport.send(session.framing.ping, session.framing.codec.binary);
		}
		this.#plan(session);
	}

	closed(session: CentrifugeSession): void {
		this.#deadlines.remove(session);
		this.#readUntil.delete(session);
	}

	/** Call it about once a second. */
	tick(): void {
		this.#deadlines.tick(this.#parts.now());
	}

	/** When a connection that expires is closed, or a backend is asked about it. */
	#endsAt({ expiresAt }: CentrifugeSession): number {
		const { refreshes, times } = this.#parts;
		return refreshes.isOn ? expiresAt : expiresAt + times.expiredCloseDelayMs / 1000;
	}

	/** Whether the ping still stands behind something that the client reads, if slowly. What the kernel holds of it cannot be seen. */
	#readsOn(session: CentrifugeSession, now: number): boolean {
		if (now >= (this.#readUntil.get(session) ?? 0)) return false;
		return session.pong === PongState.reading || session.transport.getBufferedAmount() === 0;
	}

	#plan(session: CentrifugeSession): void {
		const { now, unixTime } = this.#parts;
		const expiresAt = Math.min(this.#endsAt(session), session.subscriptionsDueAt);
		this.#deadlines.set(session, Math.min(session.pingAt, now() + expiresAt - unixTime()));
	}
}
