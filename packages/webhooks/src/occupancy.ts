interface OccupancyParts {
	readonly tell: (event: { readonly type: "occupied" | "vacated"; readonly at: number; readonly channel: string }) => void;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
	/** How long a channel must have no subscribers before it is vacated. */
	readonly delayMs: () => number;
	/** Maximum number of empty channels that wait; with one more, the oldest is vacated immediately. */
	readonly emptyMax?: number;
}

/**
 * Counts the subscribers of each channel over all shards. A channel that empties is vacated only after a delay, so that a client that moves to
 * another shard or reloads its page causes no event.
 *
 * One owner, the collector. Bounds: the subscriptions of all clients, and `emptyMax`.
 */
export class Occupancy {
	readonly #parts: OccupancyParts;
	readonly #emptyMax: number;
	readonly #subscribers = new Map<string, number>();
	/** Channels that have emptied, with the time, in that order. */
	readonly #emptied = new Map<string, number>();

	constructor(parts: OccupancyParts) {
		this.#parts = parts;
		this.#emptyMax = parts.emptyMax ?? 100_000;
	}

	get channels(): number {
		return this.#subscribers.size;
	}

	/** @param isQuiet the state is not new, so no event is sent. */
	enter(channel: string, at: number, isQuiet: boolean): void {
		const before = this.#subscribers.get(channel) ?? 0;
		this.#subscribers.set(channel, before + 1);
		if (before > 0 || this.#emptied.delete(channel) || isQuiet) return;
		this.#parts.tell({ type: "occupied", at, channel });
	}

	leave(channel: string, at: number): void {
		const left = (this.#subscribers.get(channel) ?? 0) - 1;
		if (left > 0) {
			this.#subscribers.set(channel, left);
			return;
		}
		if (!this.#subscribers.delete(channel)) return;
		this.#emptied.set(channel, this.#parts.nowMs());
		if (this.#emptied.size > this.#emptyMax) this.#vacate(this.#emptied.keys().next().value!, at);
	}

	/** Reports the channels that have been empty for long enough. @param at milliseconds since 1970. @param all whether to skip the delay. */
	tick(at: number, all = false): void {
		const { delayMs, nowMs } = this.#parts;
		const until = nowMs() - delayMs();
		for (const [channel, since] of this.#emptied) {
			if (!all && since > until) return;
			this.#vacate(channel, at);
		}
	}

	forget(): void {
		this.#subscribers.clear();
		this.#emptied.clear();
	}

	#vacate(channel: string, at: number): void {
		this.#emptied.delete(channel);
		this.#parts.tell({ type: "vacated", at, channel });
	}
}
