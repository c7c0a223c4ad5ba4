import { DisconnectCode } from "@shardcast/protocol";
import { Deadlines } from "../../deadlines.ts";
import type { CentrifugeSession } from "../centrifuge-session.ts";
import type { HookCalls } from "../hooks/hook-calls.ts";
import type { HookRefreshes } from "../hooks/hook-refreshes.ts";
import { PongState } from "./pong-state.ts";

interface HeartbeatsParts {
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
	/** Asks a backend about connections that expire, instead of the client. */
	readonly refreshes: Pick<HookRefreshes, "isOn" | "begin">;
}

/** A client that reads more slowly than this misses its pong deadline; otherwise it could hold the memory of a long reply indefinitely. */
const slowestBytesPerSecond = 32 * 1024;

/**
 * All deadlines of clients: pings and pongs, the time to connect, expiry of tokens. One timer wheel that advances once a second serves all
 * clients; there are no timers per client.
 */
export class Heartbeats {
	readonly #parts: HeartbeatsParts;
	readonly #deadlines: Deadlines;
	/** Clients whose ping is behind something they have not read: when they must have read it. */
	readonly #readUntil = new Map<CentrifugeSession, number>();

	constructor(parts: HeartbeatsParts) {
		this.#parts = parts;
		this.#deadlines = new Deadlines(parts.now());
	}

	/** The number of clients with a deadline, which are all clients of this endpoint. */
	get count(): number {
		return this.#deadlines.count;
	}

	opened(session: CentrifugeSession): void {
		this.#deadlines.set(session, this.#parts.now() + this.#parts.times.staleCloseDelayMs / 1000);
	}

	/**
	 * The client has connected. Its first ping is sent after half an interval to a whole one, so that clients that connect together are not
	 * pinged together.
	 */
	connected(session: CentrifugeSession): void {
		const { times, now, random } = this.#parts;
		if (!session.framePings) session.pingAt = now() + (times.pingIntervalMs / 1000) * (0.5 + random() / 2);
		this.#plan(session);
	}

	/** The client, or one of its subscriptions, has a new token. */
	refreshed(session: CentrifugeSession): void {
		this.#plan(session);
	}

	/** False = no pong was due. */
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
			// It has sent its connect, and a backend, which has a deadline, has not answered yet.
			if (this.#parts.calls.waits(session)) this.opened(session);
			else session.close(session.waitsForMemory ? DisconnectCode.serverError : DisconnectCode.stale);
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
				if (!this.#isReading(session, now) && !hasAnswered(session)) {
					session.close(DisconnectCode.noPong);
					return;
				}
				session.pong = PongState.awaited;
				session.pingAt = now + times.pongTimeoutMs / 1000;
				this.#plan(session);
				return;
			}
			// Unidirectional clients send no pongs.
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

	/** Must be called about once a second. */
	tick(): void {
		this.#deadlines.tick(this.#parts.now());
	}

	/** When an expiring connection is closed or a backend is asked about it. */
	#endsAt({ expiresAt }: CentrifugeSession): number {
		const { refreshes, times } = this.#parts;
		return refreshes.isOn ? expiresAt : expiresAt + times.expiredCloseDelayMs / 1000;
	}

	/** Whether the ping is still behind something that the client is slowly reading. The part that the kernel holds is not visible. */
	#isReading(session: CentrifugeSession, now: number): boolean {
		if (now >= (this.#readUntil.get(session) ?? 0)) return false;
		return session.pong === PongState.reading || session.transport.getBufferedAmount() === 0;
	}

	#plan(session: CentrifugeSession): void {
		const { now, unixTime } = this.#parts;
		const expiresAt = Math.min(this.#endsAt(session), session.subscriptionsDueAt);
		this.#deadlines.set(session, Math.min(session.pingAt, now() + expiresAt - unixTime()));
	}
}

/** Whether its pong has come, and waits behind a command for which a backend, or this server, takes its time; not behind replies that it does not read. */
function hasAnswered({ backlog, transport }: CentrifugeSession): boolean {
	if (backlog === null || transport.getBufferedAmount() > 0) return false;
	return backlog.frames.some(({ commands, at }) => commands.findLastIndex(({ method }) => method === "pong") >= at);
}
