import type { Counters } from "@shardcast/scoreboard";
import type { ClientSession } from "../sessions/client-session.ts";
import { Allowance } from "./allowance.ts";
import { LaggingClients } from "./lagging-clients.ts";

interface PacingParts {
	/** Returns all clients. */
	readonly clients: () => readonly ClientSession[];
	/** Returns the lowest `--max-buffered` of any client. */
	readonly bufferedBytesMax: () => number;
	/** Capacity of a ring. */
	readonly ringBytes: number;
	readonly counters: Pick<Counters, "add">;
	readonly nowMs: () => number;
	/** Called with the bytes that a turn has sent to each client at most. */
	readonly onPublished?: (bytes: number) => void;
}

/** A turn's bytes as a share of `--max-buffered`. */
const turnShare = 0.25;
/** Most bytes of a turn to all clients together: with thousands of clients, a turn must not take so long that the shard seems to hang. */
const turnBytesAll = 128 * 1024 * 1024;
/** Share of a normal turn that is delivered after delivery has given up on many clients. */
const smallTurnShare = 0.25;
/** Bytes to a client, as a share of `--max-buffered`, after which clients are checked again. */
const lookShare = 1 / 16;
/** A backlog of this share of a ring is a burst, or one of a turn's bytes if that is less. */
const burstRingShare = 0.25;
/** How long a burst lasts after that. */
const burstMs = 1000;
/** Longest single wait of delivery. */
const waitMsMax = 2000;
/** Delivery stops waiting when no client has read for this many times the usual reading time, but at least `patienceMsMin`. */
const patience = 4;
const patienceMsMin = 500;
/** Higher minimum when at least this share of the clients is awaited, since the machine needs time to serve so many. */
const crowdPatienceMsMin = 1500;
const crowdShare = 0.25;
/** Shares are computed from at least this many clients: one of two is not half of an audience. */
const audienceMin = 16;
/** Limit on waiting for a minority: this much at once, and a tenth of the time in the long run. From `minorityShare` on it is not a minority. */
const minorityMsMax = 3000;
const minorityTimeShare = 0.1;
const majorityShare = 0.5;
/** If delivery has given up on at least this share of the clients, it continues in small turns; for fewer it no longer waits. */
const worthShare = 1 / 16;

/**
 * Paces bursts by what clients read. uWebSockets.js drops messages to a client that has `--max-buffered` unread, and that client is closed with 3008.
 * When more waits in the rings than a turn takes (a burst, or a shard that catches up), even fast clients have had no time to read it. So delivery waits
 * while some clients have half of the limit unread.
 *
 * The cost of a client that does not read is bounded:
 * - Without a burst, delivery waits for nobody. A client with that much unread has not read for a while.
 * - Delivery stops waiting when none of the awaited clients has read anything for 0.5 s, or for four times the recent reading time, since a busy machine
 *   needs longer (1.5 s when a quarter of all clients are awaited). It waits again for such a client only after that has read.
 * - A minority, such as a single slow client, costs at most 3 s at once and 10 % of the time. The fewer different clients were awaited in the last
 *   seconds, the more they count as a minority; if half of all were awaited, the burst is the cause and not the client.
 * - A wait takes at most 2 s. If delivery has given up on many clients, they set the pace, and publishers have to wait (429): a quarter of a turn is
 *   delivered, then it waits again.
 *
 * Owned by the shard's loop. It holds no messages: they stay in the rings. Cost: two comparisons per turn without a burst; in a burst a check of each
 * client, 0.1 µs, for every sixteenth of `--max-buffered`.
 */
export class Pacing {
	readonly #parts: PacingParts;
	readonly #lagging: LaggingClients;
	readonly #minority = new Allowance(minorityMsMax, minorityTimeShare);
	/** Upper bound on the bytes sent to each client since the last check. */
	#published = 0;
	#burstAtMs = Number.NEGATIVE_INFINITY;
	/** Start of the current wait, and the time up to which it is accounted for; NaN = not waiting. */
	#beganMs = Number.NaN;
	#countedMs = 0;
	#headwayMs = 0;
	#small = false;

	constructor(parts: PacingParts) {
		this.#parts = parts;
		this.#lagging = new LaggingClients(parts.bufferedBytesMax);
	}

	/** Bytes of records after which a turn ends. */
	get turnBytesMax(): number {
		const bytes = this.#usualTurnBytes;
		return this.#small ? bytes * smallTurnShare : bytes;
	}

	/** Call after a turn, with the bytes of its records, which is the most that any client was sent. */
	published(bytes: number): void {
		this.#published += bytes;
		this.#parts.onPublished?.(bytes);
		this.#small = false;
	}

	/** Whether the next turn has to wait. Call again about every millisecond. @param backlogBytes returns the bytes that wait in all rings. */
	mustWait(backlogBytes: () => number): boolean {
		const mustLook = this.#published > this.#parts.bufferedBytesMax() * lookShare;
		if (!mustLook && this.#lagging.awaited === 0) return this.#continue();
		const nowMs = this.#parts.nowMs();
		if (mustLook && this.#isBurst(nowMs, backlogBytes)) {
			this.#published = 0;
			if (this.#lagging.look(this.#parts.clients(), nowMs) > 0) this.#headwayMs = nowMs;
		}
		return this.#lagging.awaited > 0 ? this.#waits(nowMs) : this.#continue();
	}

	/** Call when a client has read something. */
	writable(client: ClientSession): void {
		const nowMs = this.#parts.nowMs();
		if (this.#lagging.writable(client, nowMs)) this.#headwayMs = nowMs;
	}

	/** Call when a client is being closed, or is gone. */
	forget(client: ClientSession): void {
		this.#lagging.forget(client);
	}

	get #usualTurnBytes(): number {
		return Math.min(this.#parts.bufferedBytesMax() * turnShare, turnBytesAll / Math.max(1, this.#parts.clients().length));
	}

	#isBurst(nowMs: number, backlogBytes: () => number): boolean {
		if (backlogBytes() >= Math.min(this.#usualTurnBytes, this.#parts.ringBytes * burstRingShare)) this.#burstAtMs = nowMs;
		return nowMs - this.#burstAtMs < burstMs;
	}

	#continue(): false {
		this.#beganMs = Number.NaN;
		return false;
	}

	#waits(nowMs: number): boolean {
		const { counters, clients } = this.#parts;
		if (Number.isNaN(this.#beganMs)) {
			this.#beganMs = nowMs;
			this.#countedMs = nowMs;
			counters.add("deliveryWaits", 1);
		}
		const audience = Math.max(audienceMin, clients().length);
		const lately = this.#lagging.lately / audience;
		const minority = Math.max(0, 1 - lately / majorityShare);
		counters.add("deliveryWaitedMs", nowMs - this.#countedMs);
		this.#minority.spend((nowMs - this.#countedMs) * minority);
		this.#countedMs = nowMs;

		const awaited = this.#lagging.awaited / audience;
		const leastMs = awaited < crowdShare ? patienceMsMin : crowdPatienceMsMin;
		const isPatient = nowMs - this.#headwayMs < Math.max(leastMs, patience * this.#lagging.meanMs);
		if (isPatient && (minority === 0 || this.#minority.leftMs(nowMs) > 0)) {
			if (nowMs - this.#beganMs < waitMsMax) return true;
			this.#small = awaited >= worthShare;
			if (this.#small) return this.#continue();
		}
		counters.add("clientsGivenUp", this.#lagging.giveUp());
		return this.#continue();
	}
}
