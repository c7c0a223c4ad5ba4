/** An event that people should know about, shown in the console. */
export interface ClusterEvent {
	/** Milliseconds since 1970. */
	readonly at: number;
	readonly level: "info" | "warn" | "bad";
	readonly text: string;
}

/** Most events kept; a new one replaces the oldest. */
const eventsMax = 100;

/** Recent events of the cluster, for the console. The log itself goes to stderr. */
export class EventLog {
	readonly #events: ClusterEvent[] = [];
	readonly #now: () => number;

	/** @param now returns milliseconds since 1970. */
	constructor(now: () => number = Date.now) {
		this.#now = now;
	}

	/** Oldest first. */
	get events(): readonly ClusterEvent[] {
		return this.#events;
	}

	add(level: ClusterEvent["level"], text: string): void {
		this.#events.push({ at: this.#now(), level, text });
		if (this.#events.length > eventsMax) this.#events.shift();
	}
}
