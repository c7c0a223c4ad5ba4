import { backoffMs, Pause } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { aliveEveryMs, Connection } from "./connection.ts";
import { migrate } from "./migrations.ts";
import { PostgresError } from "./postgres-error.ts";
import type { PostgresOptions } from "./postgres-options.ts";

interface LinkParts {
	readonly options: PostgresOptions;
	/** What needs PostgreSQL, for the log, such as "durable channels". */
	readonly user: string;
	readonly log: Pick<Log, "info" | "error">;
	/** Called with each new connection, before `query` can be used. If it rejects, the connection is opened again. */
	readonly prepare?: (connection: Connection) => Promise<void>;
	/** Called with each new connection, when `query` can be used. */
	readonly onReady?: () => void;
	readonly onNotification?: (payload: string) => void;
	/** Why statements are rejected; null = they are not any more. Called when that changes. */
	readonly onProblem?: (problem: string | null) => void;
}

const reconnectMsMax = 2000;

/** A connection to PostgreSQL that is opened again when it is lost. While there is none, statements are rejected at once: nothing waits here. One owner. */
export class PostgresLink {
	readonly #parts: LinkParts;
	/** Before the next connection. Only `stop` cuts it: otherwise connections that fail at once would follow each other without a pause. */
	readonly #retryPause = new Pause();
	#connection: Connection | null = null;
	/** While it is being opened or closed, too. */
	#opened: Connection | null = null;
	#isStopping = false;
	#running: Promise<void> | null = null;
	#failures = 0;
	#problem: string | null = "PostgreSQL is not reached yet";
	/** The last problem that was logged. */
	#logged = "";
	/** Connections that were lost or could not be opened. */
	lost = 0;

	constructor(parts: LinkParts) {
		this.#parts = parts;
	}

	/** Why statements are rejected; null = they are not. */
	get problem(): string | null {
		return this.#problem;
	}

	/** Connects in the background. */
	start(): void {
		this.#running ??= this.#run();
	}

	/** Closes the connection. Running statements are cut off. */
	stop(): void {
		this.#isStopping = true;
		this.#retryPause.cut();
		this.#connection = null;
		this.#opened?.close();
	}

	/** @throws PostgresError */
	query<Row>(text: string, values: readonly unknown[] = []): Promise<readonly Row[]> {
		const connection = this.#connection;
		if (connection === null) return Promise.reject(new PostgresError("unavailable", this.#problem ?? "PostgreSQL is not connected"));
		return connection.query<Row>(text, values);
	}

	async #run(): Promise<void> {
		while (!this.#isStopping) {
			try {
				await this.#session();
			} catch (error) {
				if (this.#isStopping) return;
				this.lost++;
				this.#tell((error as Error).message);
				await this.#retryPause.sleep(backoffMs(this.#failures++, reconnectMsMax));
			}
		}
	}

	/** Holds one connection until it is lost. */
	async #session(): Promise<void> {
		const { options, prepare, onReady, onNotification } = this.#parts;
		const connection = await Connection.open(options);
		this.#opened = connection;
		const pause = new Pause();
		connection.onLost = () => {
			this.#connection = null;
			pause.cut();
		};
		connection.onNotification = (payload) => onNotification?.(payload);
		try {
			await migrate(connection, options.schema);
			await prepare?.(connection);
			if (this.#isStopping || connection.isLost) return;
			this.#connection = connection;
			this.#recovered();
			onReady?.();
			while (!connection.isLost && !this.#isStopping) {
				await pause.sleep(aliveEveryMs);
				if (!connection.isLost && !this.#isStopping) await connection.ping();
			}
			if (!this.#isStopping) throw new PostgresError("interrupted", `PostgreSQL at ${connection.where}: the connection is lost`);
		} finally {
			this.#connection = null;
			this.#opened = null;
			connection.close();
		}
	}

	#recovered(): void {
		this.#failures = 0;
		this.#problem = null;
		if (this.#logged === "") return;
		this.#logged = "";
		this.#parts.log.info(`${this.#parts.user}: PostgreSQL is reached again`);
		this.#parts.onProblem?.(null);
	}

	/** Logs each problem once until it is over. */
	#tell(problem: string): void {
		this.#problem = problem;
		if (problem === this.#logged) return;
		this.#logged = problem;
		this.#parts.onProblem?.(problem);
		this.#parts.log.error(`${this.#parts.user}: ${problem}`);
	}
}
