import type { ClientSession } from "../sessions/client-session.ts";
import { Lane } from "../sessions/lanes/lane.ts";
import { Recently } from "./recently.ts";

/** Nobody waits for a client that would rather miss something. */
const dropsByItself = ({ transport }: ClientSession): boolean => transport instanceof Lane && transport.isSlow;

/** `behind`: it has much unread. `awaited`: so much that delivery waits for it. `givenUp`: it was awaited for too long. */
type Standing = "behind" | "awaited" | "givenUp";

interface Lag {
	standing: Standing;
	/** When it was awaited first. */
	sinceMs: number;
}

/** Of `--max-buffered`: a client with more waiting is behind, and no longer given up when it has less. */
const behindShare = 0.25;
/** A client with more waiting is awaited. What a turn, and what is published between two looks, adds to it still fits. */
const awaitedShare = 0.5;
/** Over which it is counted how many different clients were awaited, at least; at most twice as long. */
const windowMs = 2500;
/** What the latest one counts for in the mean time that clients take. */
const latestShare = 1 / 16;

/**
 * The clients that have much unread, as uWebSockets.js tells it: what it holds for each. One owner, the shard's loop. Bound: the number of
 * clients; each leaves when it has read, or is closed.
 */
export class LaggingClients {
	readonly #bufferedBytesMax: () => number;
	readonly #lags = new Map<ClientSession, Lag>();
	readonly #lately = new Recently<ClientSession>(windowMs);
	#awaited = 0;
	#meanMs = 0;

	constructor(bufferedBytesMax: () => number) {
		this.#bufferedBytesMax = bufferedBytesMax;
	}

	/** Clients that delivery waits for. */
	get awaited(): number {
		return this.#awaited;
	}

	/** Different clients that were awaited in the last seconds. */
	get lately(): number {
		return this.#lately.count;
	}

	/** How long clients take that are awaited, those included that were given up and have read since: a mean in which the latest count most. */
	get meanMs(): number {
		return this.#meanMs;
	}

	/** Looks at all clients: about 0.1 µs for each. Returns how many more are awaited than before. */
	look(clients: readonly ClientSession[], nowMs: number): number {
		const max = this.#bufferedBytesMax();
		const before = this.#awaited;
		this.#lately.advance(nowMs);
		for (const client of clients) {
			const buffered = client.leaving === 0 && !dropsByItself(client) ? client.transport.getBufferedAmount() : 0;
			const lag = this.#lags.get(client);
			if (buffered <= max * behindShare) {
				if (lag !== undefined) this.#recovered(client, lag, nowMs);
				continue;
			}
			const standing = buffered > max * awaitedShare ? "awaited" : "behind";
			if (lag === undefined) this.#lags.set(client, { standing, sinceMs: nowMs });
			else if (lag.standing !== "behind" || standing === "behind") continue;
			else Object.assign(lag, { standing, sinceMs: nowMs });
			if (standing === "behind") continue;
			this.#awaited++;
			this.#lately.saw(client);
		}
		return this.#awaited - before;
	}

	/** The client has read something. True when it was behind. */
	writable(client: ClientSession, nowMs: number): boolean {
		const lag = this.#lags.get(client);
		if (lag === undefined) return false;
		const max = this.#bufferedBytesMax();
		const buffered = client.transport.getBufferedAmount();
		if (buffered <= max * behindShare) this.#recovered(client, lag, nowMs);
		else if (lag.standing === "awaited" && buffered <= max * awaitedShare) {
			this.#took(nowMs - lag.sinceMs);
			lag.standing = "behind";
			this.#awaited--;
		}
		return true;
	}

	/** The client gets nothing any more, or is gone. */
	forget(client: ClientSession): void {
		if (this.#lags.get(client)?.standing === "awaited") this.#awaited--;
		this.#lags.delete(client);
		this.#lately.forget(client);
	}

	/** Those that are awaited are so no longer, until they have read. Returns how many. */
	giveUp(): number {
		const given = this.#awaited;
		for (const lag of this.#lags.values()) if (lag.standing === "awaited") lag.standing = "givenUp";
		this.#awaited = 0;
		return given;
	}

	#recovered(client: ClientSession, lag: Lag, nowMs: number): void {
		if (lag.standing === "awaited") this.#awaited--;
		if (lag.standing !== "behind") this.#took(nowMs - lag.sinceMs);
		this.#lags.delete(client);
	}

	#took(ms: number): void {
		this.#meanMs += (ms - this.#meanMs) * latestShare;
	}
}
