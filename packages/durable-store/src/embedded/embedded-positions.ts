import type { Database } from "lmdb";
import type { AcknowledgeOutcome, ConsumerPosition, ConsumerPositions } from "../store.ts";

interface Row extends ConsumerPosition {
	readonly untilMs: number;
	readonly ttlMs: number;
}

type Key = [user: string, channel: string, consumer: string];

const sweptMax = 200;
const batchMs = 100;
/** A row is renewed when less than this share of its time is left. */
const renewShare = 0.9;

/**
 * Positions of consumers: one row per user, channel and consumer. It only moves forward. Acknowledgements are written every 100 ms; if the
 * process dies before, their publications are delivered again.
 */
export class EmbeddedPositions implements ConsumerPositions {
	readonly #rows: Database<Buffer, Key>;
	readonly #rowsMax: () => number;
	readonly #nowMs: () => number;
	/** Acknowledgements not written yet, by key as JSON. Bounded by the number of rows. */
	readonly #pending = new Map<string, { readonly key: Key; readonly position: ConsumerPosition }>();
	#timer: NodeJS.Timeout | null = null;
	#writing: Promise<void> = Promise.resolve();
	#swept: Key | undefined;
	/** Failed writes of acknowledgements. They are retried. */
	failures = 0;

	constructor(rows: Database<Buffer, Key>, rowsMax: () => number, nowMs: () => number) {
		this.#rows = rows;
		this.#rowsMax = rowsMax;
		this.#nowMs = nowMs;
	}

	/** Number of rows. */
	get count(): number {
		return (this.#rows.getStats() as { readonly entryCount: number }).entryCount;
	}

	/** The consumer's position, or null. */
	of(user: string, channel: string, consumer: string): ConsumerPosition | null {
		const key: Key = [user, channel, consumer];
		const row = this.#entry(key)?.row;
		if (row === undefined || row.untilMs <= this.#nowMs()) return null;
		const pending = this.#pending.get(JSON.stringify(key))?.position;
		const isAhead = pending !== undefined && pending.epoch === row.epoch && pending.offset > row.offset;
		return isAhead ? pending : { offset: row.offset, epoch: row.epoch };
	}

	look(user: string, channel: string, consumer: string): ConsumerPosition | null {
		return this.of(user, channel, consumer);
	}

	/** Returns the consumer's position. Creates its row at `start` if it does not exist; null when there are too many rows. */
	async begin(user: string, channel: string, consumer: string, start: ConsumerPosition, ttlMs: number): Promise<ConsumerPosition | null> {
		const key: Key = [user, channel, consumer];
		for (;;) {
			const entry = this.#entry(key);
			const nowMs = this.#nowMs();
			const isThere = entry !== null && entry.row.untilMs > nowMs;
			if (isThere && entry.row.untilMs - nowMs > ttlMs * renewShare) return this.of(user, channel, consumer) ?? entry.row;
			if (entry === null && this.count >= this.#rowsMax()) return null;
			const position = isThere ? entry.row : start;
			if (await this.#put(key, entry?.version ?? null, { offset: position.offset, epoch: position.epoch, untilMs: nowMs + ttlMs, ttlMs }))
				return this.of(user, channel, consumer) ?? start;
		}
	}

	/** Keeps a consumer's row alive. Writes only when a tenth of the row's time has passed. */
	async renew(user: string, channel: string, consumer: string): Promise<void> {
		const key: Key = [user, channel, consumer];
		const entry = this.#entry(key);
		if (entry === null) return;
		const { untilMs, ttlMs } = entry.row;
		const nowMs = this.#nowMs();
		if (untilMs - nowMs > ttlMs * renewShare) return;
		// If another process has written the row meanwhile, that has renewed it.
		await this.#put(key, entry.version, { ...entry.row, untilMs: nowMs + ttlMs });
	}

	/** Moves a row to any position, also backward. For a consumer whose next publication is gone. */
	async jump(user: string, channel: string, consumer: string, to: ConsumerPosition): Promise<void> {
		const key: Key = [user, channel, consumer];
		for (;;) {
			const entry = this.#entry(key);
			if (entry === null) return;
			const { ttlMs } = entry.row;
			if (await this.#put(key, entry.version, { ...to, untilMs: this.#nowMs() + ttlMs, ttlMs })) return;
		}
	}

	/** Acknowledges everything up to and including this offset. Ignores an offset lower than the last one. */
	acknowledge(user: string, channel: string, consumer: string, position: ConsumerPosition): AcknowledgeOutcome {
		const known = this.of(user, channel, consumer);
		if (known === null) return "none";
		if (known.epoch !== position.epoch) return "epoch";
		if (position.offset <= known.offset) return "acknowledged";
		const key: Key = [user, channel, consumer];
		this.#pending.set(JSON.stringify(key), { key, position });
		this.#timer ??= setTimeout(() => void this.flush(), batchMs);
		return "acknowledged";
	}

	/** Removes the consumer's row. */
	async remove(user: string, channel: string, consumer: string): Promise<void> {
		const key: Key = [user, channel, consumer];
		this.#pending.delete(JSON.stringify(key));
		await this.#rows.remove(key);
	}

	/** Writes acknowledgements. Never rejects: failed writes are retried. */
	flush(): Promise<void> {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		const batch = [...this.#pending];
		this.#writing = this.#writing.then(async () => {
			await Promise.all(batch.map(([name, { key, position }]) => this.#advance(name, key, position)));
		});
		return this.#writing;
	}

	async sweep(): Promise<void> {
		const nowMs = this.#nowMs();
		const rows = [...this.#rows.getRange({ ...(this.#swept && { start: this.#swept }), limit: sweptMax })];
		this.#swept = rows.length < sweptMax ? undefined : rows.at(-1)!.key;
		const gone = rows.filter(({ value }) => parse(value).untilMs <= nowMs);
		await Promise.all(gone.map(({ key, version }) => this.#rows.ifVersion(key, version!, () => void this.#rows.remove(key))));
	}

	async close(): Promise<void> {
		await this.flush();
		if (this.#timer !== null) clearTimeout(this.#timer);
	}

	async #advance(name: string, key: Key, position: ConsumerPosition): Promise<void> {
		try {
			for (;;) {
				const entry = this.#entry(key);
				if (entry === null || entry.row.epoch !== position.epoch || entry.row.offset >= position.offset) break;
				const { ttlMs } = entry.row;
				if (await this.#put(key, entry.version, { ...position, untilMs: this.#nowMs() + ttlMs, ttlMs })) break;
			}
			if (this.#pending.get(name)?.position === position) this.#pending.delete(name);
		} catch {
			// It stays pending.
			this.failures++;
			this.#timer ??= setTimeout(() => void this.flush(), batchMs * 10);
		}
	}

	#put(key: Key, version: number | null, row: Row): Promise<boolean> {
		const put = () => void this.#rows.put(key, Buffer.from(JSON.stringify(row)), (version ?? 0) + 1);
		return version === null ? this.#rows.ifNoExists(key, put) : this.#rows.ifVersion(key, version, put);
	}

	#entry(key: Key): { readonly row: Row; readonly version: number } | null {
		(this.#rows as unknown as { resetReadTxn(): void }).resetReadTxn();
		const entry = this.#rows.getEntry(key);
		return entry === undefined ? null : { row: parse(entry.value), version: entry.version! };
	}
}

function parse(value: Uint8Array): Row {
	return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as Row;
}
