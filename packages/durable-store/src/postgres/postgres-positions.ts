import type { PostgresLink } from "@shardcast/postgres";
import type { AcknowledgeOutcome, ConsumerPosition, ConsumerPositions } from "../store.ts";

interface PostgresPositionsParts {
	readonly link: Pick<PostgresLink, "query">;
	/** Quoted. */
	readonly schema: string;
	readonly countMax: () => number;
	/** Monotonic. */
	readonly nowMs: () => number;
}

type Key = readonly [user: string, channel: string, consumer: string];

interface Known {
	readonly key: Key;
	position: ConsumerPosition;
	/** Not written yet; null = nothing. */
	pending: ConsumerPosition | null;
	renews: boolean;
	usedMs: number;
}

const batchMs = 100;
const retryMs = 1000;
/** Rows of one statement. */
const batchMax = 1000;
/** A position that was neither renewed nor acknowledged for this time is known here no longer. */
const knownMs = 180_000;
/** A row is renewed when less than this share of its time is left. */
const renewShare = 0.9;

const given =
	"given AS (SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::bigint[], $5::text[]) AS g (user_id, channel, consumer, acked, epoch))";
const sameKey = "p.user_id = g.user_id AND p.channel = g.channel AND p.consumer = g.consumer";

/** Positions of consumers in PostgreSQL. Bound of what is known here: the consumers that were connected in the last minutes. **One per shard.** */
export class PostgresPositions implements ConsumerPositions {
	count = 0;
	failures = 0;
	readonly #parts: PostgresPositionsParts;
	readonly #table: string;
	readonly #known = new Map<string, Known>();
	/** Of `known`, those that must be written. */
	readonly #dirty = new Set<Known>();
	#timer: NodeJS.Timeout | null = null;
	#writing: Promise<void> = Promise.resolve();

	constructor(parts: PostgresPositionsParts) {
		this.#parts = parts;
		this.#table = `${parts.schema}.durable_position`;
	}

	of(...key: Key): ConsumerPosition | null {
		const known = this.#known.get(JSON.stringify(key));
		return known === undefined ? null : (known.pending ?? known.position);
	}

	async look(...key: Key): Promise<ConsumerPosition | null> {
		const there = await this.#read(key);
		if (!there?.isAlive) {
			this.#forget(key);
			return null;
		}
		this.#learn(key, there);
		return this.of(...key);
	}

	async begin(user: string, channel: string, consumer: string, start: ConsumerPosition, ttlMs: number): Promise<ConsumerPosition | null> {
		const key: Key = [user, channel, consumer];
		const there = await this.#read(key);
		if (there?.isAlive) {
			this.#learn(key, there);
			void this.renew(...key);
			return this.of(...key);
		}
		// One that has expired has its row still.
		if (there === null && this.count >= this.#parts.countMax()) return null;
		const [row] = await this.#parts.link.query<{ readonly offset: number; readonly epoch: string; readonly created: boolean }>(
			`INSERT INTO ${this.#table} AS p (user_id, channel, consumer, "offset", epoch, until, ttl_ms)
			VALUES ($1, $2, $3, $4, $5, clock_timestamp() + $6::float8 * interval '1 ms', $6)
			ON CONFLICT (user_id, channel, consumer) DO UPDATE SET
				"offset" = CASE WHEN p.until > clock_timestamp() THEN p."offset" ELSE excluded."offset" END,
				epoch = CASE WHEN p.until > clock_timestamp() THEN p.epoch ELSE excluded.epoch END,
				until = excluded.until, ttl_ms = excluded.ttl_ms
			RETURNING "offset"::float8 AS "offset", epoch, xmax = 0 AS created`,
			[...valuesOf(key), String(start.offset), start.epoch, ttlMs],
		);
		if (row!.created) this.count++;
		this.#learn(key, row!);
		return this.of(...key);
	}

	renew(...key: Key): Promise<void> {
		const known = this.#known.get(JSON.stringify(key));
		if (known !== undefined) {
			known.usedMs = this.#parts.nowMs();
			known.renews = true;
			this.#soon(known);
		}
		return Promise.resolve();
	}

	async jump(user: string, channel: string, consumer: string, to: ConsumerPosition): Promise<void> {
		const key: Key = [user, channel, consumer];
		const known = this.#known.get(JSON.stringify(key));
		if (known !== undefined) known.pending = null;
		await this.#parts.link.query(
			`UPDATE ${this.#table} SET "offset" = $4, epoch = $5, until = clock_timestamp() + ttl_ms * interval '1 ms'
			WHERE user_id = $1 AND channel = $2 AND consumer = $3`,
			[...valuesOf(key), String(to.offset), to.epoch],
		);
		if (known !== undefined) known.position = to;
	}

	acknowledge(user: string, channel: string, consumer: string, position: ConsumerPosition): AcknowledgeOutcome {
		const known = this.#known.get(JSON.stringify([user, channel, consumer]));
		if (known === undefined) return "none";
		const { offset, epoch } = known.pending ?? known.position;
		if (epoch !== position.epoch) return "epoch";
		known.usedMs = this.#parts.nowMs();
		if (position.offset <= offset) return "acknowledged";
		known.pending = position;
		this.#soon(known);
		return "acknowledged";
	}

	async remove(...key: Key): Promise<void> {
		this.#forget(key);
		await this.#parts.link.query(`DELETE FROM ${this.#table} WHERE user_id = $1 AND channel = $2 AND consumer = $3`, valuesOf(key));
	}

	flush(): Promise<void> {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		const dirty = [...this.#dirty];
		this.#dirty.clear();
		this.#writing = this.#writing.then(async () => {
			for (let from = 0; from < dirty.length; from += batchMax) await this.#write(dirty.slice(from, from + batchMax));
		});
		return this.#writing;
	}

	/** Forgets positions that are not used here any more. */
	sweep(): void {
		const nowMs = this.#parts.nowMs();
		for (const [name, known] of this.#known) if (nowMs - known.usedMs > knownMs && !this.#dirty.has(known)) this.#known.delete(name);
	}

	async close(): Promise<void> {
		await this.flush();
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
	}

	async #read(key: Key): Promise<(ConsumerPosition & { readonly isAlive: boolean }) | null> {
		const [row] = await this.#parts.link.query<ConsumerPosition & { readonly isAlive: boolean }>(
			`SELECT "offset"::float8 AS "offset", epoch, until > clock_timestamp() AS "isAlive" FROM ${this.#table}
			WHERE user_id = $1 AND channel = $2 AND consumer = $3`,
			valuesOf(key),
		);
		return row ?? null;
	}

	/** One statement. Rows are locked in one order, so that two nodes do not wait for each other. */
	async #write(batch: readonly Known[]): Promise<void> {
		const acknowledged = batch.map(({ pending }) => pending);
		const positions = batch.map(({ pending, position }) => pending ?? position);
		try {
			await this.#parts.link.query(
				`WITH ${given}, locked AS (
					SELECT p.user_id, p.channel, p.consumer, CASE WHEN p.epoch = g.epoch THEN greatest(p."offset", g.acked) ELSE p."offset" END AS acked
					FROM ${this.#table} p JOIN given g ON ${sameKey}
					WHERE (p.epoch = g.epoch AND p."offset" < g.acked) OR p.until < clock_timestamp() + p.ttl_ms * ${renewShare} * interval '1 ms'
					ORDER BY p.user_id, p.channel, p.consumer FOR UPDATE OF p
				)
				UPDATE ${this.#table} p SET "offset" = g.acked, until = clock_timestamp() + p.ttl_ms * interval '1 ms' FROM locked g WHERE ${sameKey}`,
				[
					...[0, 1].map((part) => batch.map(({ key }) => Buffer.from(key[part]!))),
					batch.map(({ key }) => key[2]),
					positions.map(({ offset }) => String(offset)),
					positions.map(({ epoch }) => epoch),
				],
			);
			for (const [index, known] of batch.entries()) {
				const written = acknowledged[index];
				if (written != null && written.offset > known.position.offset && written.epoch === known.position.epoch) known.position = written;
				if (known.pending === written) known.pending = null;
				known.renews = false;
			}
		} catch {
			// They stay pending.
			this.failures++;
			for (const known of batch) if (known.pending !== null || known.renews) this.#dirty.add(known);
			this.#timer ??= setTimeout(() => void this.flush(), retryMs);
		}
	}

	#learn(key: Key, { offset, epoch }: ConsumerPosition): void {
		const name = JSON.stringify(key);
		const known = this.#known.get(name);
		const usedMs = this.#parts.nowMs();
		if (known === undefined) {
			this.#known.set(name, { key, position: { offset, epoch }, pending: null, renews: false, usedMs });
			return;
		}
		known.usedMs = usedMs;
		known.position = { offset, epoch };
		if (known.pending !== null && (known.pending.epoch !== epoch || known.pending.offset <= offset)) known.pending = null;
	}

	#forget(key: Key): void {
		const name = JSON.stringify(key);
		const known = this.#known.get(name);
		if (known !== undefined) this.#dirty.delete(known);
		this.#known.delete(name);
	}

	#soon(known: Known): void {
		this.#dirty.add(known);
		this.#timer ??= setTimeout(() => void this.flush(), batchMs);
	}
}

function valuesOf([user, channel, consumer]: Key): readonly unknown[] {
	return [Buffer.from(user), Buffer.from(channel), consumer];
}
