export interface DeliveryReport {
	/** Messages that arrived, including duplicates. */
	readonly received: number;
	/** Messages that should have arrived and did not. */
	readonly lost: number;
	readonly duplicated: number;
	/** Arrived after a later one of the same sender. */
	readonly reordered: number;
	/** Numbers that were never sent to that client, or senders that do not exist. */
	readonly unexpected: number;
	/** The first few of each kind, for people. */
	readonly examples: readonly string[];
}

/** Numbers `from … to - 1` of one sender that one client has not got while it got a later one. */
interface Gap {
	from: number;
	to: number;
}

const examplesPerKindMax = 5;
/** Most gaps remembered over all clients. Messages in further gaps count as lost, and as duplicates if they arrive late. */
const gapsMax = 100_000;

/**
 * Exactly once, in order: watches what each of many clients receives from each of several senders, whose messages are
 * numbered 0, 1, 2, …. In the normal case one array element is read and written per message; memory for holes is taken only
 * when there are some, and bounded. Used by one thread.
 */
export class DeliveryChecker {
	readonly #clients: number;
	readonly #senders: number;
	readonly #firstClient: number;
	/** Per client and sender, the lowest number that is higher than all that came. */
	readonly #next: Uint32Array;
	readonly #gaps = new Map<number, Gap[]>();
	#gapCount = 0;
	/** Messages in gaps that are not remembered. */
	#forgotten = 0;
	#received = 0;
	#duplicated = 0;
	#reordered = 0;
	#unexpected = 0;
	readonly #examples = new Map<string, string[]>();

	/** `firstClient` is added to client numbers in examples: a part of a larger fleet reports global numbers. */
	constructor(clients: number, senders: number, firstClient = 0) {
		this.#clients = clients;
		this.#senders = senders;
		this.#firstClient = firstClient;
		this.#next = new Uint32Array(clients * senders);
	}

	/** Client `client` (0 …) got message `sequence` (0 …) of sender `sender` (0 …). */
	saw(client: number, sender: number, sequence: number): void {
		this.#received++;
		if (sender >= this.#senders || client >= this.#clients) {
			this.stray(client, `a message of sender ${sender}, which does not exist`);
			return;
		}
		const index = client * this.#senders + sender;
		const next = this.#next[index];
		if (sequence === next) this.#next[index] = next + 1;
		else if (sequence > next) {
			this.#open(index, { from: next, to: sequence });
			this.#next[index] = sequence + 1;
		} else this.#late(client, sender, sequence, next);
	}

	/** Before its first message of a sender: `client` came late, what is lower than `sequence` was not for it. */
	joins(client: number, sender: number, sequence: number): void {
		if (sender < this.#senders && client < this.#clients) this.#next[client * this.#senders + sender] = sequence;
	}

	/** One more than the highest number that `client` got from `sender`. */
	nextOf(client: number, sender: number): number {
		return this.#next[client * this.#senders + sender];
	}

	/** Call when `client` got a message that was not meant for it. */
	stray(client: number, what: string): void {
		this.#unexpected++;
		this.#example("unexpected", client, what);
	}

	/** Verdict, given how many messages of each sender each client should have got. Can be asked again later. */
	report(expected: (client: number, sender: number) => number): DeliveryReport {
		let lost = 0;
		let unexpected = this.#unexpected;
		const examples: string[] = [];
		const example = (client: number, what: string): void => {
			if (examples.length < examplesPerKindMax) examples.push(`client ${client + this.#firstClient} ${what}`);
		};
		for (let client = 0; client < this.#clients; client++)
			for (let sender = 0; sender < this.#senders; sender++) {
				const index = client * this.#senders + sender;
				const due = expected(client, sender);
				const next = this.#next[index];
				if (next > due) {
					unexpected += next - due;
					example(client, `got number ${next - 1} of sender ${sender}, of whose messages ${due} were meant for it`);
				}
				const gaps = this.#gaps.get(index) ?? [];
				for (const { from, to } of next < due ? [...gaps, { from: next, to: due }] : gaps) {
					const missed = Math.min(to, due) - from;
					if (missed <= 0) continue;
					lost += missed;
					example(client, `lost ${missed === 1 ? from : `${from}…${from + missed - 1}`} of sender ${sender}`);
				}
			}
		return {
			received: this.#received,
			lost: lost + this.#forgotten,
			duplicated: this.#duplicated,
			reordered: this.#reordered,
			unexpected,
			examples: [...examples, ...[...this.#examples.values()].flat()],
		};
	}

	#open(index: number, gap: Gap): void {
		if (this.#gapCount >= gapsMax) {
			this.#forgotten += gap.to - gap.from;
			return;
		}
		this.#gapCount++;
		const gaps = this.#gaps.get(index);
		if (gaps) gaps.push(gap);
		else this.#gaps.set(index, [gap]);
	}

	#late(client: number, sender: number, sequence: number, next: number): void {
		const index = client * this.#senders + sender;
		const gaps = this.#gaps.get(index) ?? [];
		const at = gaps.findIndex(({ from, to }) => sequence >= from && sequence < to);
		if (at < 0) {
			this.#duplicated++;
			this.#example("duplicated", client, `${sequence} of sender ${sender} again`);
			return;
		}
		this.#reordered++;
		this.#example("reordered", client, `${sequence} of sender ${sender} after ${next - 1}`);
		const { from, to } = gaps[at];
		const rest = [
			{ from, to: sequence },
			{ from: sequence + 1, to },
		].filter((gap) => gap.to > gap.from);
		gaps.splice(at, 1, ...rest);
		this.#gapCount += rest.length - 1;
		if (gaps.length === 0) this.#gaps.delete(index);
	}

	#example(kind: string, client: number, what: string): void {
		const examples = this.#examples.get(kind) ?? [];
		if (examples.length < examplesPerKindMax) examples.push(`client ${client + this.#firstClient} got ${what}`);
		this.#examples.set(kind, examples);
	}
}

/** Sum of the reports of several parts of a fleet. */
export function mergeReports(reports: readonly DeliveryReport[]): DeliveryReport {
	const sum = (pick: (report: DeliveryReport) => number): number => reports.reduce((total, report) => total + pick(report), 0);
	return {
		received: sum((report) => report.received),
		lost: sum((report) => report.lost),
		duplicated: sum((report) => report.duplicated),
		reordered: sum((report) => report.reordered),
		unexpected: sum((report) => report.unexpected),
		examples: reports.flatMap((report) => report.examples).slice(0, 4 * examplesPerKindMax),
	};
}
