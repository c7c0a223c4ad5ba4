import { backoffMs, Pause } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { aliveEveryMs, Connection } from "../connection.ts";
import { migrate } from "../migrations.ts";
import type { PostgresError } from "../postgres-error.ts";
import type { PostgresOptions } from "../postgres-options.ts";
import { OutboxCounts } from "./outbox-counts.ts";
import { OutboxRound } from "./outbox-round.ts";
import type { DeadRow, OutboxRow, RowName, RowResult } from "./outbox-row.ts";
import { OutboxTable } from "./outbox-table.ts";
import { WaitingChannels } from "./waiting-channels.ts";

export interface OutboxParts {
	readonly options: PostgresOptions;
	readonly selectLimit: number;
	readonly pollMs: number;
	/** A larger row is dead. */
	readonly rowBytesMax: number;
	/** Whether this process may become the reader. One process per node is enough. */
	readonly mayRead: () => boolean;
	/** Never rejects. */
	readonly publish: (row: OutboxRow) => RowResult | Promise<RowResult>;
	/** Why rows wait; null = they do not. Called when that changes. */
	readonly onProblem?: (problem: string | null) => void;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	/** Monotonic. */
	readonly nowMs: () => number;
}

/** How often a process that is not the reader tries to become it. */
const candidateMs = 500;
const reconnectMsMax = 2000;
/** How often the age of the oldest row is queried. */
const ageEveryMs = 1000;
/** Most bytes of the rows read at once. */
const readBytesMax = 8 * 1024 * 1024;
/** While `waiting` is full, those channels are tried together. */
const fullPauseMs = 100;

/**
 * Publishes the rows of the outbox. One of all processes with the same database is the reader: it holds an advisory lock on the connection that it also
 * uses to read and delete rows, so PostgreSQL ends its role together with the connection.
 *
 * A row is deleted after it was published. If the reader dies in between, the next one publishes it again, and the broker recognises it by its
 * idempotency key. So two readers at the same time do no harm: both publish the same rows in the same order with the same keys.
 */
export class Outbox {
	readonly counts = new OutboxCounts();
	readonly #parts: OutboxParts;
	/** Of a reader or candidate; cut when a row may be there or the connection is lost. */
	readonly #pause = new Pause();
	/** Before the next connection. Only a stop cuts it: otherwise connections that fail at once would follow each other without a pause. */
	readonly #retryPause = new Pause();
	readonly #waiting = new WaitingChannels();
	/** Rows that this process has published and that may not be deleted yet: so an outage of PostgreSQL that is longer than the life of keys causes no duplicates. */
	#undeleted: readonly RowName[] = [];
	#undead: readonly DeadRow[] = [];
	#isStopping = false;
	/** Rows are being published or deleted. */
	#isPublishing = false;
	#running: Promise<void> | null = null;
	#connection: Connection | null = null;
	/** Connections that failed since the last one that worked. */
	#failures = 0;
	/** The last problem that was logged. */
	#problem = "";

	constructor(parts: OutboxParts) {
		this.#parts = parts;
	}

	/** Connects in the background. */
	start(): void {
		this.#running ??= this.#run();
	}

	/** Finishes the rows that were started, and resolves. It waits for PostgreSQL only to delete them. */
	async drain(): Promise<void> {
		this.#halt();
		if (!this.#isPublishing) this.#connection?.close();
		await this.#running;
	}

	/** Stops at once, whether rows are finished or not. */
	stop(): void {
		this.#halt();
		this.#connection?.close();
	}

	#halt(): void {
		this.#isStopping = true;
		this.#pause.cut();
		this.#retryPause.cut();
	}

	async #run(): Promise<void> {
		while (!this.#isStopping) {
			if (!this.#parts.mayRead()) {
				await this.#retryPause.sleep(candidateMs);
				continue;
			}
			try {
				await this.#session();
			} catch (error) {
				if (this.#isStopping) return;
				this.counts.lost++;
				this.#tell(error as PostgresError);
				await this.#retryPause.sleep(backoffMs(this.#failures++, reconnectMsMax));
			}
		}
	}

	/** Works with one connection until it ends. */
	async #session(): Promise<void> {
		const { options, mayRead, log } = this.#parts;
		const connection = await Connection.open(options);
		this.#connection = connection;
		connection.onLost = connection.onNotification = () => this.#pause.cut();
		try {
			await migrate(connection, options.schema);
			const table = new OutboxTable(connection, options.schema);
			while (!(await table.lock())) {
				this.#recovered();
				await this.#pause.sleep(candidateMs);
				if (this.#isStopping || !mayRead()) return;
			}
			await table.listen();
			this.counts.isReader = true;
			log.info(`${connection.where}: this process publishes the outbox`);
			await this.#read(connection, table);
		} finally {
			this.counts.isReader = false;
			this.counts.ageMs = 0;
			this.counts.waitingChannels = 0;
			this.#waiting.clear();
			this.#isPublishing = false;
			this.#connection = null;
			connection.close();
		}
	}

	async #read(connection: Connection, table: OutboxTable): Promise<void> {
		const { pollMs, rowBytesMax, publish, nowMs } = this.#parts;
		const waiting = this.#waiting;
		let agedMs = Number.NEGATIVE_INFINITY;
		await this.#clear(table);
		while (!this.#isStopping) {
			if (nowMs() - agedMs >= ageEveryMs) {
				this.counts.ageMs = await table.ageMs();
				agedMs = nowMs();
			}
			const { isFull } = waiting;
			const readMs = nowMs();
			const due = waiting.due(readMs);
			const { rows, isAll } = await this.#nextRows(table, readMs, due);
			this.#recovered();
			// Somebody has deleted their rows.
			if (isAll) for (const channel of without(due, rows)) waiting.worked(channel);
			let isMore = false;
			if (rows.length > 0) {
				const round = new OutboxRound({ publish, waiting, counts: this.counts, rowBytesMax, nowMs });
				this.#isPublishing = true;
				await keptAlive(
					connection,
					round.publish(rows, () => this.#isStopping),
				);
				this.#undeleted = round.published;
				this.#undead = round.dead;
				const isDone = round.published.length + round.dead.length === rows.length;
				await this.#clear(table);
				this.#isPublishing = false;
				isMore = isFull ? isDone : !isAll || !isDone;
			}
			this.counts.waitingChannels = waiting.count;
			if (isMore) continue;
			const pauseMs = Math.min(pollMs, ageEveryMs, waiting.nextMs(nowMs()));
			await this.#pause.sleep(isFull ? Math.max(pauseMs, fullPauseMs) : pauseMs);
		}
	}

	/** The oldest rows of channels that do not wait; while `waiting` is full, those of the channels that are due. */
	async #nextRows(table: OutboxTable, nowMs: number, due: readonly string[]): ReturnType<OutboxTable["read"]> {
		const { selectLimit, rowBytesMax } = this.#parts;
		const limits = { rowsMax: selectLimit, rowBytesMax, bytesMax: readBytesMax };
		if (!this.#waiting.isFull) return table.read(limits, this.#waiting.names(nowMs));
		if (due.length === 0) return { rows: [], isAll: true };
		// Their rows are the oldest: with so many rows as channels, not the whole table is searched.
		return table.read({ ...limits, rowsMax: Math.min(selectLimit, due.length) }, [], due);
	}

	/** Deletes the rows that are done. */
	async #clear(table: OutboxTable): Promise<void> {
		await table.remove(this.#undeleted);
		this.#undeleted = [];
		if (this.#undead.length === 0) return;
		await table.setAside(this.#undead);
		const [{ id, reason }] = this.#undead as [DeadRow];
		const { log } = this.#parts;
		log.warn(`outbox: ${this.#undead.length} rows cannot be published and are in outbox_dead now; row ${id}: ${reason}`);
		this.#undead = [];
	}

	#recovered(): void {
		this.#failures = 0;
		if (this.#problem === "") return;
		this.#parts.log.info("the outbox reaches PostgreSQL again");
		this.#problem = "";
		this.#parts.onProblem?.(null);
	}

	/** Logs each problem once until it is over. */
	#tell({ message }: PostgresError): void {
		if (message === this.#problem) return;
		this.#problem = message;
		this.#parts.onProblem?.(message);
		this.#parts.log.error(`${message}; the outbox waits`);
	}
}

/** A handler may take longer than the session may be idle. A process that hangs does not get here, and loses its session. */
async function keptAlive(connection: Connection, publishing: Promise<void>): Promise<void> {
	const timer = setInterval(() => void connection.ping().catch(() => undefined), aliveEveryMs);
	await publishing.finally(() => clearInterval(timer));
}

function without(channels: readonly string[], rows: readonly OutboxRow[]): readonly string[] {
	const present = new Set(rows.map(({ channel }) => channel));
	return channels.filter((channel) => !present.has(channel));
}
