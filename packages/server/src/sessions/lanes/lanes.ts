import type { Counters } from "@shardcast/scoreboard";
import { hasTopics, type Transport } from "../../transports/transport.ts";
import type { ClientSession } from "../client-session.ts";
import { Lane, type LaneCause, partBytes } from "./lane.ts";
import { LaneMemory } from "./lane-memory.ts";
import type { LaneRule } from "./lane-queue.ts";

interface LanesParts {
	/** Returns all clients. */
	readonly clients: () => readonly ClientSession[];
	readonly counters: Pick<Counters, "add" | "set">;
	/** The smallest limit of any connected client. */
	readonly bufferedBytesMax: () => number;
	/** Runs the callback in a later phase of the loop, when the lists of audiences are not being iterated. */
	readonly soon: (callback: () => void) => void;
	/** The clock of `RunningTime`. */
	readonly nowMs: () => number;
}

/** A session with more unread than this share of its limit, and at most `slowBytesMax`, moves to a lane. */
const slowShare = 0.25;
/**
 * No more, whatever the limit: uWebSockets.js copies what waits for each client, and keeps that memory until the client is gone. Lanes share one
 * copy.
 */
const slowBytesMax = 64 * 1024;
/**
 * The most that is published to each client between two checks: a share of its limit, and at most `slowBytesMax`. What one turn adds on top still
 * fits.
 */
const lookShare = 1 / 16;
/**
 * A client whose publications may not be dropped moves when it has had that much unread for so long and has read nothing. In a burst, those that read
 * stay in their topics: thousands of lanes would cost more than the copies.
 */
const stalledMs = 250;
/** A topic that nobody publishes to. It keeps the bytes that uWebSockets.js has not written yet for a client that is in no other topic. */
const restTopic = "in a lane";

/**
 * Moves clients between the topics of uWebSockets.js, which reach thousands of clients with one call, and a queue in JavaScript for each client
 * (`Lane`), which knows what may be dropped. A client is in a lane while it reads too slowly and one of its subscriptions lets publications be
 * dropped, while it reads nothing, or while a long message is being sent in parts.
 *
 * The library reports only a message that it has already dropped, which is too late, and copies each message for each client that does not read. So
 * clients are checked whenever enough has been published to bring one of them near its limit. Cost: 0.1 µs for each client and check.
 *
 * Owned by the shard's loop. Bound: the number of clients.
 */
export class Lanes {
	readonly #parts: LanesParts;
	/**
	 * Clients that have had a subscription whose publications may be dropped. Whether they still have one is looked up when they are slow: to look at
	 * each end of a subscription would take as long as the client has subscriptions.
	 */
	readonly #watched = new Set<ClientSession>();
	/** Clients with much unread that do not allow drops: since when they have read nothing. */
	readonly #still = new Map<ClientSession, number>();
	readonly #inLanes = new Set<ClientSession>();
	readonly memory = new LaneMemory();
	#gaps: { readonly session: ClientSession; readonly rule: LaneRule }[] = [];
	#published = 0;

	constructor(parts: LanesParts) {
		this.#parts = parts;
	}

	/** The number of clients in a lane. */
	get count(): number {
		return this.#inLanes.size;
	}

	/** One of this client's subscriptions lets publications be dropped. */
	watch(session: ClientSession): void {
		this.#watched.add(session);
		const { transport } = session;
		if (transport instanceof Lane && transport.cause === "stalled") transport.cause = "slow";
	}

	/** A turn has sent this many bytes to clients. */
	published(bytes: number): void {
		this.#published += bytes;
	}

	/** Moves slow clients out of the topics before anything is delivered. */
	beforeTurn(): void {
		const { clients, bufferedBytesMax, nowMs } = this.#parts;
		if (this.#gaps.length > 0) this.#endGaps();
		if (this.#published <= Math.min(bufferedBytesMax() * lookShare, slowBytesMax)) return;
		this.#published = 0;
		for (const session of clients()) {
			const { transport } = session;
			if (session.leaving !== 0 || transport instanceof Lane) continue;
			if (transport.getBufferedAmount() <= Math.min(session.bufferedBytesMax * slowShare, slowBytesMax)) continue;
			if (this.#mayDrop(session)) this.#slow(session, "slow");
			else this.#mayBeStalled(session, nowMs());
		}
	}

	/**
	 * Sends a message that is not a publication; a long one in parts, as the client reads.
	 * @returns whether the bytes may be reused.
	 */
	send(session: ClientSession, frame: Uint8Array, isBinary: boolean): boolean {
		const { transport } = session;
		if (frame.length <= partBytes) {
			transport.send(frame, isBinary);
			return true;
		}
		if (transport instanceof Lane) transport.give(frame, isBinary);
		else {
			const lane = new Lane(transport, session, this.#parts.counters, this.memory, "long");
			lane.give(frame, isBinary);
			if (lane.isDone) return false;
			this.#enter(session, lane);
			this.#parts.counters.add("laneEnteredLong", 1);
		}
		return false;
	}

	/** The client has read something. */
	writable(session: ClientSession): void {
		this.#still.delete(session);
		const { transport } = session;
		if (!(transport instanceof Lane)) return;
		transport.pump();
		// A closing client stays in its lane: it is in no topic, and gets its close frame behind what waits.
		if (transport.isDone && session.leaving === 0) this.#leave(session, transport);
	}

	/** A subscription with recovery has a gap; see `LaneOwner.laneGap`. */
	gap(session: ClientSession, rule: LaneRule): void {
		if (this.#gaps.push({ session, rule }) === 1) this.#parts.soon(this.#endGaps);
	}

	/**
	 * Drops publications until all lanes take at most this much memory: from those lanes that take more than an equal share. Those in which nothing may
	 * be dropped are left to `UnreadLimit`.
	 * @returns whether something was dropped or closed.
	 */
	shrink(bytesMax: number): boolean {
		const share = bytesMax / this.#inLanes.size;
		let hasShrunk = false;
		for (const { transport } of this.#inLanes)
			if (transport instanceof Lane && transport.cause !== "stalled" && transport.shrink(share)) hasShrunk = true;
		return hasShrunk;
	}

	/** The client gets nothing beyond what waits for it. */
	leaving(session: ClientSession): void {
		this.#watched.delete(session);
		this.#still.delete(session);
		if (!this.#inLanes.delete(session)) return;
		(session.transport as Lane).retire();
		this.#changed();
	}

	/** The client has disconnected. */
	forget(session: ClientSession): void {
		this.leaving(session);
		if (session.transport instanceof Lane) session.transport.dispose();
	}

	readonly #endGaps = (): void => {
		const gaps = this.#gaps;
		this.#gaps = [];
		for (const { session, rule } of gaps) {
			if (session.isGone) continue;
			session.endAfterGap(rule);
			if (session.transport instanceof Lane) session.transport.forget(rule);
		}
	};

	#mayDrop(session: ClientSession): boolean {
		if (!this.#watched.has(session)) return false;
		if (session.mayDrop) return true;
		this.#watched.delete(session);
		return false;
	}

	#mayBeStalled(session: ClientSession, nowMs: number): void {
		const sinceMs = this.#still.get(session);
		if (sinceMs === undefined) this.#still.set(session, nowMs);
		else if (nowMs - sinceMs >= stalledMs) this.#slow(session, "stalled");
	}

	#slow(session: ClientSession, cause: LaneCause): void {
		this.#still.delete(session);
		this.#enter(session, new Lane(session.transport, session, this.#parts.counters, this.memory, cause));
		this.#parts.counters.add("laneEnteredSlow", 1);
	}

	#enter(session: ClientSession, lane: Lane): void {
		const { transport } = lane;
		if (hasTopics(transport)) transport.subscribe(restTopic);
		this.#move(session, lane);
		this.#inLanes.add(session);
		this.#changed();
	}

	#leave(session: ClientSession, { transport }: Lane): void {
		this.#move(session, transport);
		if (hasTopics(transport)) transport.unsubscribe(restTopic);
		this.#inLanes.delete(session);
		this.#changed();
	}

	#move(session: ClientSession, to: Transport): void {
		session.moveTo(to);
		session.transport = to;
	}

	#changed(): void {
		this.#parts.counters.set("laneClients", this.#inLanes.size);
	}
}
