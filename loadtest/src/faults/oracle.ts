/** Kinds of what must not happen. `untold` = a subscription lost its position although its history should be there; `leaked` = a message, socket, file … that is not due. */
export const wrongs = ["lost", "duplicated", "reordered", "untold", "leaked", "unavailable", "refused"] as const;
export type Wrong = (typeof wrongs)[number];

const examplesMax = 20;

/** Counts of what went wrong; the first few of them for people. */
export class Tally {
	readonly counts: Record<Wrong, number> = { lost: 0, duplicated: 0, reordered: 0, untold: 0, leaked: 0, unavailable: 0, refused: 0 };
	readonly examples: string[] = [];

	/** A negative count takes back what turned out to be another kind. */
	add(wrong: Wrong, example: string, count = 1): void {
		this.counts[wrong] += count;
		if (count > 0 && this.examples.length < examplesMax) this.examples.push(`${wrong}: ${example}`);
	}

	get total(): number {
		return Object.values(this.counts).reduce((sum, count) => sum + count, 0);
	}
}

/** Most numbers remembered as missing, of one sequence. What comes late of further ones counts as duplicated. */
const missingMax = 10_000;

/** Numbers that must come once each, in order. What is missing counts as lost, until it comes late: then as reordered. */
export class Sequence {
	readonly #tally: Tally;
	readonly #what: string;
	readonly #missing = new Set<number>();
	/** Null = whatever comes first is right. */
	#next: number | null;

	constructor(tally: Tally, what: string, next: number | null) {
		this.#tally = tally;
		this.#what = what;
		this.#next = next;
	}

	/** The one that must come next. */
	get next(): number | null {
		return this.#next;
	}

	/** @returns whether it is the one that is due, or one behind it ("ahead"), or one before it. */
	saw(number: number): "due" | "ahead" | "late" {
		const next = this.#next ?? number;
		if (number === next) {
			this.#next = number + 1;
			return "due";
		}
		if (number > next) {
			this.#tally.add("lost", `${this.#what}: ${number} after ${next - 1}`, number - next);
			for (let missing = next; missing < number && this.#missing.size < missingMax; missing++) this.#missing.add(missing);
			this.#next = number + 1;
			return "ahead";
		}
		if (this.#missing.delete(number)) {
			this.#tally.add("lost", "", -1);
			this.#tally.add("reordered", `${this.#what}: ${number} after ${next - 1}`);
		} else this.#tally.add("duplicated", `${this.#what}: ${number} again, after ${next - 1}`);
		return "late";
	}
}

/** What a client is told with a subscription. */
export interface Subscribed {
	readonly epoch: string;
	readonly offset: number;
	readonly wasRecovering: boolean;
	readonly recovered: boolean;
}

/**
 * Judges one recoverable subscription of one client: every publication once, in order, over any number of connections. Offsets have no hole within an
 * epoch, and the publisher's own numbers have none either, since it repeats each until it is acknowledged. What a client is told to have lost is not
 * lost in silence; it counts as `untold` all the same, unless the history may be gone.
 */
export class SubscriptionOracle {
	readonly #tally: Tally;
	readonly #what: string;
	/** Whether the history may be gone now. */
	readonly #mayForget: () => boolean;
	readonly #hasKafkaOffsets: boolean;
	/** The channel had nothing when it subscribed: with Kafka's offsets, the first publication decides on offset and epoch. */
	#isEmpty = false;
	#epoch: string | null = null;
	#offsets: Sequence | null = null;
	#numbers: Sequence;
	/** The publisher's last number that has come. */
	last = -1;
	/** How often it was told that it could not recover. */
	told = 0;

	constructor(tally: Tally, what: string, mayForget: () => boolean, hasKafkaOffsets = false) {
		this.#tally = tally;
		this.#what = what;
		this.#mayForget = mayForget;
		this.#hasKafkaOffsets = hasKafkaOffsets;
		this.#numbers = new Sequence(tally, `${what}, numbers`, null);
	}

	subscribed({ epoch, offset, wasRecovering, recovered }: Subscribed): void {
		if (this.#epoch !== null && wasRecovering && recovered) {
			if (epoch !== this.#epoch && !this.#isEmpty)
				this.#tally.add("untold", `${this.#what}: recovered, but the epoch was ${this.#epoch} and is ${epoch}`);
			this.#epoch = epoch;
			return;
		}
		if (this.#epoch !== null) {
			this.told++;
			if (!this.#mayForget())
				this.#tally.add("untold", `${this.#what}: not recovered after ${this.last}; epoch ${this.#epoch}, then ${epoch}`);
		}
		this.#epoch = epoch;
		this.#isEmpty = this.#hasKafkaOffsets && offset === 0;
		this.#offsets = new Sequence(this.#tally, `${this.#what}, offsets`, this.#isEmpty ? null : offset + 1);
		this.#numbers = new Sequence(this.#tally, `${this.#what}, numbers`, null);
	}

	publication(offset: number, number: unknown): void {
		if (typeof number !== "number") {
			this.#tally.add("leaked", `${this.#what}: ${JSON.stringify(number)?.slice(0, 80)} is not from its publisher`);
			return;
		}
		// What is wrong with an offset shows in the number as well: it is counted once.
		const order = this.#offsets?.saw(offset) ?? "due";
		if (order === "due") this.#numbers.saw(number);
		else if (order === "ahead") this.#numbers = new Sequence(this.#tally, `${this.#what}, numbers`, number + 1);
		this.last = Math.max(this.last, number);
	}
}

/** A message of a raw client: its sender's number, the number of its connection, and the number within that. */
export interface RawMessage {
	readonly sender: number;
	readonly connection: number;
	readonly sequence: number;
}

/**
 * Judges one connection of a raw client, which gets what is sent while it is connected. Of a sender whose connection ends, the last
 * messages may be gone, but never some in between.
 */
export class RawOracle {
	readonly #tally: Tally;
	readonly #what: string;
	readonly #sequences = new Map<string, Sequence>();

	/** @param dueFrom for each connection that senders had when this one was open: their next number. */
	constructor(tally: Tally, what: string, dueFrom: readonly RawMessage[]) {
		this.#tally = tally;
		this.#what = what;
		for (const from of dueFrom) this.#sequences.set(key(from), this.#sequence(from, from.sequence));
	}

	saw(message: RawMessage): void {
		const known = this.#sequences.get(key(message));
		const sequence = known ?? this.#sequence(message, 0);
		if (known === undefined) this.#sequences.set(key(message), sequence);
		// What was on its way when the connection was made may come as well.
		if (sequence.next !== null && message.sequence < sequence.next && !this.#started.has(key(message))) this.#early(message);
		else sequence.saw(message.sequence);
		this.#started.add(key(message));
	}

	/** The next number that must come from this connection of a sender. */
	nextOf(sender: number, connection: number): number {
		return this.#sequences.get(key({ sender, connection }))?.next ?? 0;
	}

	readonly #started = new Set<string>();

	#early(message: RawMessage): void {
		const sequence = this.#sequence(message, message.sequence + 1);
		this.#sequences.set(key(message), sequence);
	}

	#sequence({ sender, connection }: Pick<RawMessage, "sender" | "connection">, next: number): Sequence {
		return new Sequence(this.#tally, `${this.#what}, sender ${sender} connection ${connection}`, next);
	}
}

function key({ sender, connection }: Pick<RawMessage, "sender" | "connection">): string {
	return `${sender}:${connection}`;
}
