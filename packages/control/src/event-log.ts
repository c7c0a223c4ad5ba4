/** Something that people should know of, as the console lists it. */
export interface ClusterEvent {
	/** Milliseconds since 1970. */
	readonly at: number;
	readonly level: "info" | "warn" | "bad";
	readonly text: string;
}

/** Events kept; the oldest goes when another comes. */
const eventsMax = 100;

/** What has happened to the cluster lately, for the console. The log proper goes to stderr; this is what people want to see at a glance. */
export class EventLog {
	readonly #events: ClusterEvent[] = [];
	readonly #now: () => number;

	/** @param now milliseconds since 1970. */
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
