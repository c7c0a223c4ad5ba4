import { randomInt } from "node:crypto";
import { PostgresLink, type PostgresOptions, quoted } from "@shardcast/postgres";
import type { Log } from "@shardcast/telemetry";
import type { DurableStore, StoredChannel, StoreOutcome, Storing } from "../store.ts";
import { storedKey } from "../stored-key.ts";
import { decodeRecord, encodeRecord, type StoredPublication } from "../stored-record.ts";
import { KnownChannels } from "./known-channels.ts";
import { knowServer } from "./known-server.ts";
import { PostgresPositions } from "./postgres-positions.ts";

interface PostgresStoreParts {
	readonly options: PostgresOptions;
	/** Publishing is refused when the store has this size. Called at each use. */
	readonly bytesMax: () => number;
	/** Most positions of consumers. Called at each use. */
	readonly positionsMax: () => number;
	/** Monotonic. */
	readonly nowMs: () => number;
	/** Called while following, when any process may have stored something in the channel; null = in any channel. */
	readonly onStored: (channel: string | null) => void;
	/** Why nothing can be stored; null = it can again. Called when that changes. */
	readonly onProblem?: (problem: string | null) => void;
	readonly log: Pick<Log, "info" | "error">;
}

interface Waiting {
	readonly channel: string;
	/** Null when only the channel is needed. */
	readonly record: Buffer | null;
	readonly storing: Pick<Storing, "history" | "idempotency">;
	readonly done: (outcome: StoreOutcome) => void;
	readonly failed: (error: unknown) => void;
}

interface PublishedRow {
	readonly offset: number;
	readonly duplicate: boolean;
	readonly epoch0: number;
	readonly epoch1: number;
	readonly last: number;
	readonly first: number;
}

const waitingMax = 10_000;
const waitingBytesMax = 64 * 1024 * 1024;
const batchMax = 256;
const batchBytesMax = 4 * 1024 * 1024;
/** Bytes of one read; the first publication is always read. */
const readBytesMax = 8 * 1024 * 1024;
const sweepEveryMs = 5000;
/** Channels of one statement. */
const refreshedMax = 1000;

/**
 * The store of durable channels in PostgreSQL, for any number of nodes. **One per shard.** Publications wait in one queue, and each statement takes as many as
 * are waiting: so PostgreSQL commits once for all of them. What finds no room in the queue is refused. While PostgreSQL cannot be reached, everything is rejected at
 * once.
 *
 * The process that follows the store is notified about each publication. Notifications can be lost with a connection, so others must compare from time to
 * time (`refresh`).
 */
export class PostgresStore implements DurableStore {
	readonly positions: PostgresPositions;
	readonly counts = { written: 0, failed: 0, refused: 0 };
	bytes = 0;
	readonly #parts: PostgresStoreParts;
	readonly #link: PostgresLink;
	readonly #schema: string;
	readonly #known = new KnownChannels();
	readonly #waiting: Waiting[] = [];
	#waitingBytes = 0;
	#working: Promise<void> | null = null;
	#isFull = false;
	#follows = false;
	#sweptMs = Number.NEGATIVE_INFINITY;
	#isClosing = false;

	constructor(parts: PostgresStoreParts) {
		const { options, log, positionsMax, nowMs, onStored, onProblem } = parts;
		this.#parts = parts;
		this.#schema = quoted(options.schema);
		this.#link = new PostgresLink({
			...{ options, log, user: "durable channels" },
			prepare: async (connection) => {
				if (await knowServer(connection, this.#schema))
					log.info(`${connection.where} has taken over: durable channels have a new epoch, since their last publications may be lost`);
			},
			onReady: () => (this.#follows ? this.#listen("LISTEN") : onStored(null)),
			onNotification: (payload) => this.#notified(payload),
			...(onProblem && { onProblem }),
		});
		this.positions = new PostgresPositions({ link: this.#link, schema: this.#schema, countMax: positionsMax, nowMs });
		this.#link.start();
	}

	/** Why nothing can be stored now; null = it can. */
	get problem(): string | null {
		return this.#link.problem;
	}

	/** Connections that were lost or could not be opened. */
	get lost(): number {
		return this.#link.lost;
	}

	/** Publications that wait to be written. */
	get waiting(): number {
		return this.#waiting.length;
	}

	publish(channel: string, publication: Storing): Promise<StoreOutcome> {
		if (this.#isFull) return this.#refused();
		return this.#enqueue(channel, encodeRecord(publication), publication);
	}

	async open(channel: string, metaTtlMs: number): Promise<StoredChannel | "full"> {
		const outcome = await this.#enqueue(channel, null, { history: { size: 1, ttlMs: 0, metaTtlMs } });
		return outcome === "full" ? outcome : outcome.channel;
	}

	channel(channel: string): StoredChannel | null {
		return this.#known.get(channel);
	}

	read(channel: string, after: number, until: number, limit: number): Promise<readonly StoredPublication[]> {
		return this.#read(channel, `"offset" > $2 AND "offset" <= $3 AND ${this.#isKept}`, [after, until], limit);
	}

	readLate(channel: string, after: number, limit: number): Promise<readonly StoredPublication[]> {
		return this.#read(channel, `"offset" > $2 AND "offset" <= $3`, [after, Number.MAX_SAFE_INTEGER], limit);
	}

	readReverse(channel: string, before: number, limit: number): Promise<readonly StoredPublication[]> {
		return this.#read(channel, `"offset" > $2 AND "offset" < $3 AND ${this.#isKept}`, [0, before], limit, "DESC");
	}

	/** Reads the state of channels, for those who may have missed something. Resolves when `channel` knows it. */
	async refresh(channels: readonly string[]): Promise<void> {
		for (let from = 0; from < channels.length; from += refreshedMax) {
			const some = channels.slice(from, from + refreshedMax);
			const rows = await this.#link.query<StoredChannel & { readonly channel: Buffer }>(
				`SELECT channel, epoch0, epoch1, last::float8 AS last, first::float8 AS first FROM ${this.#schema}.durable_channel WHERE channel = ANY ($1)`,
				[some.map((name) => Buffer.from(name))],
			);
			const there = new Set<string>();
			for (const { channel, epoch0, epoch1, last, first } of rows) {
				const name = channel.toString();
				there.add(name);
				this.#known.learn(name, { epoch0, epoch1, last, first });
			}
			for (const name of some) if (!there.has(name)) this.#known.forget(name);
		}
	}

	/** Whether this process is notified about what others store. */
	follow(yes: boolean): void {
		if (yes === this.#follows) return;
		this.#follows = yes;
		this.#listen(yes ? "LISTEN" : "UNLISTEN");
	}

	async sweep(): Promise<void> {
		const nowMs = this.#parts.nowMs();
		if (nowMs - this.#sweptMs < sweepEveryMs || this.problem !== null) return;
		this.#sweptMs = nowMs;
		this.positions.sweep();
		// One process is enough to remove what has expired.
		if (this.#follows) await this.#link.query(`SELECT ${this.#schema}.durable_sweep()`);
		const [sums] = await this.#link.query<{ readonly bytes: number; readonly positions: number }>(
			`SELECT (SELECT coalesce(sum(bytes), 0)::float8 FROM ${this.#schema}.durable_channel) AS bytes,
				(SELECT count(*)::float8 FROM ${this.#schema}.durable_position) AS positions`,
		);
		this.bytes = sums!.bytes;
		this.positions.count = sums!.positions;
		this.#isFull = this.bytes >= this.#parts.bytesMax();
	}

	/** Writes what is waiting. If PostgreSQL cannot be reached, that fails at once. */
	async close(): Promise<void> {
		this.#isClosing = true;
		await this.#working;
		await this.positions.close();
		this.#link.stop();
	}

	get #isKept(): string {
		return `EXISTS (
			SELECT 1 FROM ${this.#schema}.durable_channel c
			WHERE c.channel = p.channel AND p."offset" >= c.first AND c.published_at + c.ttl_ms * interval '1 ms' > clock_timestamp()
		)`;
	}

	async #read(
		channel: string,
		where: string,
		[low, high]: readonly [number, number],
		limit: number,
		order: "ASC" | "DESC" = "ASC",
	): Promise<readonly StoredPublication[]> {
		if (limit <= 0) return [];
		const rows = await this.#link.query<{ readonly offset: number; readonly record: Buffer }>(
			`SELECT "offset"::float8 AS "offset", record FROM (
				SELECT "offset", record, sum(octet_length(record)) OVER (ORDER BY "offset" ${order}) AS upto FROM (
					SELECT "offset", record FROM ${this.#schema}.durable_publication p WHERE channel = $1 AND ${where} ORDER BY "offset" ${order} LIMIT $4
				) taken
			) summed WHERE upto = octet_length(record) OR upto <= ${readBytesMax} ORDER BY "offset" ${order}`,
			[Buffer.from(channel), String(low), String(high), Math.min(limit, 1_000_000)],
		);
		return rows.map(({ offset, record }) => decodeRecord(offset, record));
	}

	#enqueue(channel: string, record: Buffer | null, storing: Pick<Storing, "history" | "idempotency">): Promise<StoreOutcome> {
		const bytes = record?.length ?? 0;
		const isFull = this.#waiting.length >= waitingMax || this.#waitingBytes + bytes > waitingBytesMax;
		if (isFull || this.#isClosing) return this.#refused();
		return new Promise((done, failed) => {
			this.#waiting.push({ channel, record, storing, done, failed });
			this.#waitingBytes += bytes;
			this.#working ??= this.#work();
		});
	}

	#refused(): Promise<StoreOutcome> {
		this.counts.refused++;
		return Promise.resolve("full");
	}

	/** Writes what is waiting, batch by batch. Never rejects. */
	async #work(): Promise<void> {
		// In a later turn, so that publications of the same turn share a write.
		await new Promise((resolve) => setImmediate(resolve));
		while (this.#waiting.length > 0) {
			const batch = this.#nextBatch();
			try {
				const outcomes = await this.#write(batch);
				for (const [index, { done }] of batch.entries()) done(outcomes[index]!);
				this.counts.written += batch.length;
			} catch (error) {
				this.counts.failed += batch.length;
				for (const { failed } of batch) failed(error);
			}
		}
		this.#working = null;
	}

	#nextBatch(): readonly Waiting[] {
		let bytes = 0;
		let count = 0;
		for (const { record } of this.#waiting) {
			const more = record?.length ?? 0;
			if (count === batchMax || (count > 0 && bytes + more > batchBytesMax)) break;
			bytes += more;
			count++;
		}
		this.#waitingBytes -= bytes;
		return this.#waiting.splice(0, count);
	}

	/** One statement and one commit. */
	async #write(batch: readonly Waiting[]): Promise<readonly StoreOutcome[]> {
		const rows = await this.#link.query<PublishedRow>(
			`SELECT "offset"::float8 AS "offset", duplicate, epoch0, epoch1, last::float8 AS last, first::float8 AS first
			FROM ${this.#schema}.durable_publish($1, $2, $3, $4, $5, $6, $7, $8, $9) ORDER BY place`,
			[
				batch.map(({ channel }) => Buffer.from(channel)),
				batch.map(({ record }) => record),
				batch.map(({ storing: { idempotency } }) => (idempotency === undefined ? null : Buffer.from(storedKey(idempotency.key)))),
				batch.map(({ storing: { idempotency } }) => idempotency?.ttlMs ?? null),
				batch.map(({ storing: { history } }) => history.size),
				batch.map(({ storing: { history } }) => history.ttlMs),
				batch.map(({ storing: { history } }) => history.metaTtlMs),
				randomInt(1, 2 ** 31),
				randomInt(1, 2 ** 31),
			],
		);
		return rows.map(({ offset, duplicate, epoch0, epoch1, last, first }, index) => {
			const channel: StoredChannel = { epoch0, epoch1, last, first };
			this.#known.learn(batch[index]!.channel, channel);
			return { offset, duplicate, channel };
		});
	}

	/** If it fails, the connection is lost, and the next one listens. */
	#listen(command: "LISTEN" | "UNLISTEN"): void {
		this.#link.query(`${command} ${this.#parts.options.schema}_durable`).then(
			() => this.#parts.onStored(null),
			() => undefined,
		);
	}

	/** "last epoch0 epoch1 channel", the channel in hexadecimal digits. */
	#notified(payload: string): void {
		const [last, epoch0, epoch1, hex = ""] = payload.split(" ");
		const channel = Buffer.from(hex, "hex").toString();
		const before = this.#known.get(channel);
		const first = before?.first ?? Number(last) + 1;
		this.#known.learn(channel, { epoch0: Number(epoch0), epoch1: Number(epoch1), last: Number(last), first });
		this.#parts.onStored(channel);
	}
}
