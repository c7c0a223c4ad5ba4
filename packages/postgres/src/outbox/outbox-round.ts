import type { OutboxCounts } from "./outbox-counts.ts";
import type { DeadRow, OutboxRow, RowName, RowResult } from "./outbox-row.ts";
import type { WaitingChannels } from "./waiting-channels.ts";

interface OutboxRoundParts {
	/** Never rejects. */
	readonly publish: (row: OutboxRow) => RowResult | Promise<RowResult>;
	readonly waiting: WaitingChannels;
	readonly counts: OutboxCounts;
	readonly rowBytesMax: number;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** After this time no further row is started. The remaining rows are read again. */
const roundMs = 5000;

/** Publishes rows: those of one channel one after the other, different channels concurrently. */
export class OutboxRound {
	readonly #parts: OutboxRoundParts;
	/** Rows that were published and may still be in the table. */
	readonly published: RowName[] = [];
	readonly dead: DeadRow[] = [];

	constructor(parts: OutboxRoundParts) {
		this.#parts = parts;
	}

	/** @param isStopping when true, no further row is started. */
	async publish(rows: readonly OutboxRow[], isStopping: () => boolean): Promise<void> {
		const untilMs = this.#parts.nowMs() + roundMs;
		const byChannel = new Map<string, OutboxRow[]>();
		for (const row of rows) {
			const group = byChannel.get(row.channel);
			if (group === undefined) byChannel.set(row.channel, [row]);
			else group.push(row);
		}
		const isOver = () => isStopping() || this.#parts.nowMs() > untilMs;
		await Promise.all([...byChannel].map(([channel, group]) => this.#publishInOrder(channel, group, isOver)));
	}

	async #publishInOrder(channel: string, rows: readonly OutboxRow[], isOver: () => boolean): Promise<void> {
		const { publish, waiting, counts, rowBytesMax, nowMs } = this.#parts;
		for (const row of rows) {
			if (isOver()) return;
			const tooLarge = row.size > rowBytesMax;
			const publishing: RowResult | Promise<RowResult> = tooLarge
				? { outcome: "dead", reason: `the row is ${row.size} bytes; the most is ${rowBytesMax}` }
				: publish(row);
			const result = publishing instanceof Promise ? await publishing : publishing;
			if (result.outcome === "later") {
				counts.later++;
				const tries = waiting.failed(channel, row.id, nowMs(), result.triesMax !== undefined);
				if (tries < (result.triesMax ?? Number.POSITIVE_INFINITY)) return;
				this.#die(row, `${result.reason}, ${tries} times`);
			} else if (result.outcome === "dead") this.#die(row, result.reason);
			else {
				counts[result.outcome]++;
				this.published.push({ id: row.id, createdAt: row.createdAt });
			}
			waiting.worked(channel);
		}
	}

	#die({ id, createdAt }: OutboxRow, reason: string): void {
		this.#parts.counts.dead++;
		this.dead.push({ id, createdAt, reason });
	}
}
