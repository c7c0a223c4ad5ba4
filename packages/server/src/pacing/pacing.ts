import type { Counters } from "@shardcast/scoreboard";
import type { ClientSession } from "../sessions/client-session.ts";
import { Allowance } from "./allowance.ts";
import { LaggingClients } from "./lagging-clients.ts";

export interface PacingParts {
	/** All clients, read in place. */
	readonly clients: () => readonly ClientSession[];
	/** `--max-buffered`, the least that any client was let in with. */
	readonly bufferedBytesMax: () => number;
	/** Of one ring. */
	readonly ringBytes: number;
	readonly counters: Pick<Counters, "add">;
	readonly nowMs: () => number;
	/** A turn has handed so many bytes to clients. */
	readonly onPublished?: (bytes: number) => void;
}

/** A turn's bytes as a share of `--max-buffered`. */
const turnShare = 0.25;
/** A turn's bytes to all clients together: a shard that has thousands must not be busy with one turn for so long that it seems to hang. */
const turnBytesAll = 128 * 1024 * 1024;
/** Of a usual turn, after delivery has given up on many. */
const smallTurnShare = 0.25;
/** Bytes to a client, as a share of `--max-buffered`, after which clients are looked at again. */
const lookShare = 1 / 16;
/** Of a ring: so much waiting is a burst, if it is not a turn's worth already. */
const burstRingShare = 0.25;
/** How long after that it still is. */
const burstMs = 1000;
/** Delivery waits so long at once. */
const waitMsMax = 2000;
/** It does not wait on when nobody has read anything for so many times the time that clients take usually, but at least: */
const patience = 4;
const patienceMsMin = 500;
/** The same when at least this share of the clients is awaited: it takes the machine some time to serve so many. */
const crowdPatienceMsMin = 1500;
const crowdShare = 0.25;
/** Shares are of at least so many clients: one of two is not half of an audience. */
const audienceMin = 16;
/** What a minority may cost all others: so much at once, and in the long run a tenth of the time. From this share on it is no minority. */
const minorityMsMax = 3000;
const minorityTimeShare = 0.1;
const majorityShare = 0.5;
/** When delivery has given up on at least this share of the clients, it goes on in small turns; for fewer it waits no longer. */
const worthShare = 1 / 16;

/**
 * Paces bursts by what clients read. uWebSockets.js sends nothing more to a client for which `--max-buffered` waits, and then it is closed
 * with 3008. When more waits in the rings than a turn takes (a burst, or a shard that has to catch up), no client has had the
 * time to read it, however fast it reads; so delivery waits while some have half of that unread.
 *
 * What a client that does not read can cost the others is bounded:
 * - Without a burst delivery waits for nobody. There, whoever has so much unread has not read for a while.
 * - It waits no longer when none of those that it waits for has read anything for 0.5 s, or four times as long as clients have taken lately:
 *   a crowded machine needs longer than a quiet one (1.5 s when it waits for a quarter of all). A client that did not read meanwhile is waited for again only once it has read.
 * - A minority, such as a single client that reads slowly, costs 3 s at once and 10 % of the time at most. It counts as one the more, the
 *   fewer different clients were awaited in the last seconds; when half of all were, it is the burst and not the client.
 * - It waits at most 2 s at once. When it has given up on many, they set the pace, and publishers have to wait (429): a
 *   quarter of a turn goes out, and it waits again.
 *
 * One owner, the shard's loop. Nothing is kept back here: what waits stays in the rings. Cost: without a burst two comparisons for each
 * turn; in a burst a look at each client, 0.1 µs, for every sixteenth of `--max-buffered`.
 */
export class Pacing {
	readonly #parts: PacingParts;
	readonly #lagging: LaggingClients;
	readonly #minority = new Allowance(minorityMsMax, minorityTimeShare);
	/** Bytes to each client at most since the last look. */
	#published = 0;
	#burstAtMs = Number.NEGATIVE_INFINITY;
	/** When the present wait began, and up to when it is accounted for; NaN = delivery does not wait. */
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

	/** A turn has handed records of so many bytes to sockets: no client was sent more. */
	published(bytes: number): void {
		this.#published += bytes;
		this.#parts.onPublished?.(bytes);
		this.#small = false;
	}

	/** Whether the next turn has to wait; to be asked again about every millisecond. @param backlogBytes what waits in all rings. */
	mustWait(backlogBytes: () => number): boolean {
		const mustLook = this.#published > this.#parts.bufferedBytesMax() * lookShare;
		if (!mustLook && this.#lagging.awaited === 0) return this.#goOn();
		const nowMs = this.#parts.nowMs();
		if (mustLook && this.#isBurst(nowMs, backlogBytes)) {
			this.#published = 0;
			if (this.#lagging.look(this.#parts.clients(), nowMs) > 0) this.#headwayMs = nowMs;
		}
		return this.#lagging.awaited > 0 ? this.#waits(nowMs) : this.#goOn();
	}

	/** The client has read something. */
	writable(client: ClientSession): void {
		const nowMs = this.#parts.nowMs();
		if (this.#lagging.writable(client, nowMs)) this.#headwayMs = nowMs;
	}

	/** The client is being closed, or gone. */
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

	#goOn(): false {
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
			if (this.#small) return this.#goOn();
		}
		counters.add("clientsGivenUp", this.#lagging.giveUp());
		return this.#goOn();
	}
}
