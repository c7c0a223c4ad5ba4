export interface QueuedEvent {
	/** Its place among the events of the webhook's stream, from 1. */
	readonly seq: number;
	/** See `eventMembers`. */
	readonly members: string;
	/** When it came, by `performance.now()`. */
	readonly queuedMs: number;
}

/**
 * Events that wait to be sent, in order. Bounds: number and characters. When it is full the oldest are dropped and counted. Their numbers are
 * not given again, so that the receiver sees the gap. One owner.
 */
export class EventQueue {
	dropped = 0;
	#max: number;
	readonly #charactersMax: number;
	#events: QueuedEvent[] = [];
	/** Index of the oldest. */
	#first = 0;
	#characters = 0;
	#seq = 0;

	constructor(max: number, charactersMax: number) {
		this.#max = max;
		this.#charactersMax = charactersMax;
	}

	get size(): number {
		return this.#events.length - this.#first;
	}

	/** Whether more than half of what may wait waits. */
	get isHalfFull(): boolean {
		return this.size > this.#max / 2 || this.#characters > this.#charactersMax / 2;
	}

	/** When the oldest came; undefined = none waits. */
	get oldestMs(): number | undefined {
		return this.#events[this.#first]?.queuedMs;
	}

	set max(max: number) {
		this.#max = max;
		this.#dropOldest();
	}

	add(members: string, queuedMs: number): void {
		this.#seq++;
		this.#events.push({ seq: this.#seq, members, queuedMs });
		this.#characters += members.length;
		this.#dropOldest();
	}

	/** So many events are lost that never came here. */
	skip(events: number): void {
		this.#seq += events;
		this.dropped += events;
	}

	/** Removes the oldest: at most so many, and not many more characters than that. */
	take(max: number, charactersMax: number): QueuedEvent[] {
		const taken: QueuedEvent[] = [];
		for (let characters = 0; taken.length < max && characters < charactersMax && this.size > 0; ) {
			const event = this.#shift();
			characters += event.members.length;
			taken.push(event);
		}
		return taken;
	}

	#dropOldest(): void {
		while (this.size > this.#max || this.#characters > this.#charactersMax) {
			this.#shift();
			this.dropped++;
		}
	}

	#shift(): QueuedEvent {
		const event = this.#events[this.#first]!;
		this.#first++;
		this.#characters -= event.members.length;
		// Each is moved once at most, on average.
		if (this.#first > 1024 && this.#first > this.#events.length / 2) {
			this.#events = this.#events.slice(this.#first);
			this.#first = 0;
		}
		return event;
	}
}
