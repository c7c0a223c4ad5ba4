export interface QueuedEvent {
	/** Number within the webhook's stream, from 1. */
	readonly seq: number;
	/** See `eventMembers`. */
	readonly members: string;
	/** Time of arrival, by `performance.now()`. */
	readonly queuedMs: number;
}

/**
 * Events that wait to be sent, in order. Bounds: number and characters. When it is full, the oldest are dropped and counted. Their numbers are
 * not reused, so that the receiver sees the gap. One owner.
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

	/** Whether the queue is more than half full. */
	get isHalfFull(): boolean {
		return this.size > this.#max / 2 || this.#characters > this.#charactersMax / 2;
	}

	/** Time of arrival of the oldest; undefined = the queue is empty. */
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

	/** Counts events that were lost before they reached the queue. */
	skip(events: number): void {
		this.#seq += events;
		this.dropped += events;
	}

	/** Removes the oldest events: at most this number, and not many more than this number of characters. */
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
		// On average, each is moved at most once.
		if (this.#first > 1024 && this.#first > this.#events.length / 2) {
			this.#events = this.#events.slice(this.#first);
			this.#first = 0;
		}
		return event;
	}
}
