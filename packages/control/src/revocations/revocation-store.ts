import { isDeepStrictEqual } from "node:util";
import { withDeadline } from "@shardcast/process";
import type { Log } from "@shardcast/telemetry";
import { databaseMsMax, entriesIn, noMark, type RevocationDatabase, rowOf } from "./revocation-database.ts";
import { type RevocationChange, RevocationFile } from "./revocation-file.ts";
import { type Revocation, Revocations, revocationsMax } from "./revocations.ts";

const retryMs = 2000;
const keepingOptions = "to keep them, name a folder with channel.durable_store.path, or a PostgreSQL with postgres.url";

/**
 * - `unwritten`: it is in effect, but is lost if this server ends before it can be written.
 * - `alone`: it is in effect on this node, but the other nodes could not be told.
 */
export type RevocationOutcome = "kept" | "full" | "unwritten" | "alone";

export interface RevocationStoreParts {
	/** Folder in which they survive a restart of the whole server; "" = none. With a database, it is read once, when the database is empty. */
	readonly folder: string;
	/** Instead of the folder; null or absent = none. */
	readonly database?: RevocationDatabase | null;
	/** Several nodes share the list: it is in Redis as well, so it does not end with this process. */
	readonly isShared?: boolean;
	/** How they can be kept after the end of this server, for the log; by default the options for that. */
	readonly advice?: string;
	readonly log: Pick<Log, "error" | "info">;
}

/** The list of revocations, in the process that all shards ask. With a folder or a database it survives the end of that process. */
export class RevocationStore {
	readonly #parts: RevocationStoreParts;
	readonly #kept = new Revocations();
	readonly #file: RevocationFile | null;
	readonly #database: RevocationDatabase | null;
	/** Changes that the database does not have, by key: the last one of each entry. Bound: that of the list, and those removed while the database is away. */
	readonly #unwritten = new Map<string, RevocationChange>();
	/** Reading the list in the database; null = not begun, or it failed. */
	#loading: Promise<void> | null = null;
	/** Called when it has been read, with whether the list has changed. */
	#loaded: (isChanged: boolean) => void = () => undefined;
	#writing: Promise<void> = Promise.resolve();
	#retry: NodeJS.Timeout | undefined;
	#isStopped = false;
	/** The last problem with the database that was logged. */
	#problem = "";
	#warnedNotStored = false;

	/** Loads the list from the folder. Never throws; see `RevocationFile.load`. */
	constructor(parts: RevocationStoreParts) {
		this.#parts = parts;
		const { folder, database = null, log } = parts;
		this.#database = database;
		this.#file = folder === "" ? null : new RevocationFile({ folder, log, count: () => this.#kept.size, list: () => this.list });
		const changes = this.#file?.load() ?? [];
		for (const change of changes) this.#apply(change);
		if (this.list.length > 0) log.info(`${this.list.length} blocked users and revoked tokens from ${this.#file!.path} are in force`);
	}

	get list(): readonly Revocation[] {
		return this.#kept.list;
	}

	/**
	 * Connects to the database, if there is one, and waits for its list. Later, whenever the database is reached again, what it lacks is written.
	 * @param changed called when the list has changed after that.
	 */
	async start(waitMs: number, changed: () => void): Promise<void> {
		const database = this.#database;
		if (database === null) return;
		const ready = new Promise<void>((resolve) => {
			this.#loaded = () => resolve();
			database.start(() => void this.#catchUp().catch(() => undefined));
		});
		await withDeadline(ready, waitMs, "reading the list").catch(() => {
			this.#parts.log.error(
				`blocked users and revoked tokens are not known yet: ${database.where} cannot be reached; until then they are let in`,
			);
		});
		this.#loaded = (isChanged) => {
			if (isChanged) changed();
		};
	}

	stop(): void {
		this.#isStopped = true;
		clearTimeout(this.#retry);
		this.#database?.stop();
	}

	/** Whether the change would change nothing. */
	has(change: RevocationChange): boolean {
		const { kind, id } = "add" in change ? change.add : change.remove;
		const entry = this.#kept.get(kind, id);
		return "add" in change ? entry !== null && isDeepStrictEqual(entry, change.add) : entry === null;
	}

	/** Applies a change. Resolves when it is on disk, if there is a folder, or in the database. */
	async change(change: RevocationChange): Promise<RevocationOutcome> {
		if (!this.#apply(change)) return "full";
		if (this.#database !== null) return this.#writeToDatabase(change);
		const { log, isShared = false, advice = keepingOptions } = this.#parts;
		if (this.#file === null) {
			if (!this.#warnedNotStored && !isShared) log.info(`blocked users and revoked tokens hold until this server ends; ${advice}`);
			this.#warnedNotStored = true;
			return "kept";
		}
		try {
			await this.#file.write(change);
			return "kept";
		} catch (error) {
			log.error({ error }, `a blocked user or revoked token could not be written to ${this.#file.path}: it holds until this server ends`);
			return "unwritten";
		}
	}

	async #writeToDatabase(change: RevocationChange): Promise<RevocationOutcome> {
		const { key } = rowOf(change, noMark);
		if (this.#unwritten.size >= revocationsMax) return "unwritten";
		this.#unwritten.delete(key);
		this.#unwritten.set(key, change);
		try {
			await withDeadline(this.#catchUp(), databaseMsMax, "writing to PostgreSQL");
		} catch (error) {
			this.#tell((error as Error).message);
		}
		return this.#unwritten.get(key) === change ? "unwritten" : "kept";
	}

	/** One write after the other, each with all that is unwritten. */
	#writeAll(): Promise<void> {
		const write = async () => {
			const changes = [...this.#unwritten];
			if (changes.length === 0) return;
			await this.#database!.write(
				changes.map(([, change]) => rowOf(change, noMark)),
				false,
			);
			for (const [key, change] of changes) if (this.#unwritten.get(key) === change) this.#unwritten.delete(key);
		};
		const written = this.#writing.then(write);
		this.#writing = written.catch(() => undefined);
		return written;
	}

	/**
	 * Reads the list in the database, if that was not done yet, and writes what is unwritten. Nothing is written before: the first write says that the
	 * list there is no longer new. If it fails, it is tried again, since a database that refuses a statement may keep its connection.
	 */
	async #catchUp(): Promise<void> {
		clearTimeout(this.#retry);
		try {
			this.#loading ??= this.#load();
			await this.#loading;
			await this.#writeAll();
			this.#problem = "";
		} catch (error) {
			if (this.#isStopped) return;
			this.#tell((error as Error).message);
			clearTimeout(this.#retry);
			this.#retry = setTimeout(() => void this.#catchUp().catch(() => undefined), retryMs);
			throw error;
		}
	}

	async #load(): Promise<void> {
		const { log } = this.#parts;
		const { where } = this.#database!;
		try {
			let isChanged = false;
			const { epoch, entries } = await this.#database!.load();
			// The first start with this database: it takes over what was in the folder.
			if (epoch === null) for (const add of this.list) this.#unwritten.set(rowOf({ add }, noMark).key, { add });
			else isChanged = this.#take(entriesIn(entries, (problem) => log.error(`an entry in ${where} is invalid: ${problem}`)));
			if (entries.length > 0) log.info(`${entries.length} blocked users and revoked tokens from ${where} are in force`);
			this.#loaded(isChanged);
		} catch (error) {
			this.#loading = null;
			throw error;
		}
	}

	/** Logs each problem once until it is over. */
	#tell(problem: string): void {
		if (problem === this.#problem) return;
		this.#problem = problem;
		this.#parts.log.error(`blocked users and revoked tokens are not written, which is tried again: ${problem}`);
	}

	/** Takes over the list of the database, except for changes made here meanwhile. */
	#take(entries: readonly Revocation[]): boolean {
		const there = new Map(entries.map((add) => [rowOf({ add }, noMark).key, add]));
		const changes: RevocationChange[] = this.list.flatMap(({ kind, id }) => {
			const remove = { remove: { kind, id } };
			return there.has(rowOf(remove, noMark).key) ? [] : [remove];
		});
		for (const add of there.values()) changes.push({ add });
		const news = changes.filter((change) => !this.#unwritten.has(rowOf(change, noMark).key) && !this.has(change));
		for (const change of news) this.#apply(change);
		return news.length > 0;
	}

	/** False = too many entries. */
	#apply(change: RevocationChange): boolean {
		if ("add" in change) return this.#kept.add(change.add);
		this.#kept.remove(change.remove.kind, change.remove.id);
		return true;
	}
}
