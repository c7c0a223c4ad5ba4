import type { ClientSession } from "../sessions/client-session.ts";
import { Lane } from "../sessions/lanes/lane.ts";
import { Recently } from "./recently.ts";

/** Delivery does not wait for a client whose subscriptions drop messages. */
const dropsByItself = ({ transport }: ClientSession): boolean => transport instanceof Lane && transport.cause === "slow";

/** `behind`: it has much unread. `awaited`: it has so much unread that delivery waits for it. `givenUp`: delivery has waited too long for it. */
type Standing = "behind" | "awaited" | "givenUp";

interface Lag {
	standing: Standing;
	/** When delivery started to wait for it. */
	sinceMs: number;
}

/** Share of `--max-buffered`. A client with more buffered is behind; with less, it is no longer given up. */
const behindShare = 0.25;
/** Share of `--max-buffered`. A client with more buffered is awaited. What a turn and the bytes between two checks add still fits. */
const awaitedShare = 0.5;
/** Minimum window for counting different awaited clients; the maximum is twice as long. */
const windowMs = 2500;
/** Weight of the latest client in the mean reading time. */
const latestShare = 1 / 16;

/**
 * Clients with much unread data, by the bytes that uWebSockets.js holds for each. Owned by the shard's loop. Bound: the number of clients. A client is
 * removed when it has read or is closed.
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

	/** Number of clients that delivery waits for. */
	get awaited(): number {
		return this.#awaited;
	}

	/** Number of different clients awaited in the last seconds. */
	get lately(): number {
		return this.#lately.count;
	}

	/** Weighted mean of the reading times of awaited clients, including those given up that have read since. The latest have the highest weight. */
	get meanMs(): number {
		return this.#meanMs;
	}

	/** Checks all clients, at about 0.1 µs each. Returns how many more are awaited than before. */
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

	/** Call when a client has read something. True if it was behind. */
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

	/** Call when a client gets no more messages, or is gone. */
	forget(client: ClientSession): void {
		if (this.#lags.get(client)?.standing === "awaited") this.#awaited--;
		this.#lags.delete(client);
		this.#lately.forget(client);
	}

	/** Gives up the awaited clients until they have read. Returns their number. */
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
