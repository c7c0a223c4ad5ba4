import { randomUUID } from "node:crypto";
import {
	databaseMsMax,
	entriesIn,
	type Revocation,
	type RevocationChange,
	type RevocationDatabase,
	type RevocationOutcome,
	type RevocationRow,
	type RevocationStore,
	revocationChange,
	revocationsMax,
	rowOf,
	type SharedRevocationCounts,
	storeRevocationQuestion,
} from "@shardcast/control";
import { withDeadline } from "@shardcast/process";
import type { Redis } from "@shardcast/redis";
import type { Log } from "@shardcast/telemetry";
import type { NodeKeys } from "../node-keys.ts";
import type { KnownPosition } from "./known-position.ts";
import { continues, type ListPosition, type ListState, positionText, readListState, readPosition } from "./list-position.ts";
import { changeScript, stateScript } from "./revocation-scripts.ts";

interface SharedRevocationsParts {
	readonly redis: Pick<Redis, "run" | "send" | "onRestored" | "state" | "problem">;
	readonly keys: Pick<NodeKeys, "revocations">;
	/** The list of this node. */
	readonly kept: Pick<RevocationStore, "change" | "has" | "list">;
	readonly known: Pick<KnownPosition, "read" | "write">;
	/** Where the list outlives Redis and all nodes; null or absent = nowhere. */
	readonly database?: RevocationDatabase | null;
	/** Applies a change, or the whole list, on the shards of this node. Resolves with the number of connections and subscriptions that have ended. */
	readonly apply: (change: RevocationChange | "all") => Promise<number>;
	/** How often the list is compared with the one in Redis. */
	readonly everyMs: number;
	readonly log: Pick<Log, "warn" | "error">;
}

/** Changes that Redis keeps for nodes that were unreachable for a moment. After a longer time, a node reads the whole list. */
const changesKept = 1000;
/** More changes than this go to the shards together. */
const singlyMax = 50;
const pushedAtOnce = 200;
const readAtOnce = 500;
/** Whoever waits for a change gives up soon after that, and would not tell the shards of this node. */
const changeMsMax = storeRevocationQuestion.deadlineMs;

/**
 * Blocked users and revoked tokens of all nodes. The list is in Redis, with a version that grows by 1 with each change; each node has a copy. A node
 * compares its version with the one in Redis after each order, at regular intervals, and when it reconnects, and reads what it has missed. Changes of a
 * node that cannot reach Redis wait until it can. Redis decides the order, so all nodes end up with the same list.
 *
 * When Redis has lost the list (another epoch), or a server has taken over that lacks changes of this node's copy (see `continues`), the node writes back
 * what it has, and what is in PostgreSQL. There, each change is written by the node that was asked, with its version, so that the last one stays. **One
 * per node.**
 */
export class SharedRevocations {
	readonly counts: SharedRevocationCounts = { sent: 0, received: 0, wholeReads: 0, failed: 0, unreadable: 0 };
	readonly #parts: SharedRevocationsParts;
	/** Changes that Redis does not have yet, by kind and id. */
	readonly #pending = new Map<string, RevocationChange>();
	/** Changes whose callers are waiting, and those of them that found no room in Redis. */
	readonly #asked = new Set<RevocationChange>();
	readonly #refused = new Set<RevocationChange>();
	/** Those that PostgreSQL does not have. */
	readonly #unwritten = new Set<RevocationChange>();
	/** PostgreSQL may lack a change, or Redis may lack what is in PostgreSQL. */
	#mustStore: boolean;
	/** Of which list in Redis the list is a copy that this node took from PostgreSQL when it had none. */
	#takenEpoch: string | null = null;
	/** Taking over what was in PostgreSQL at the start; null = not begun, or it failed. */
	#taking: Promise<void> | null = null;
	/** The shards may have read the list already. */
	#isStarted = false;
	/** The last problem with PostgreSQL that was logged. */
	#problem = "";
	/** Of the list of which this node has a copy; null = it has not read it since its start. */
	#position: ListPosition | null = null;
	/** The disk says that the list there is no copy of that in Redis. */
	#isKnownStale = false;
	/** The last text for the disk. */
	#text: string | null = null;
	/** Settles when the disk has it. */
	#written: Promise<void> = Promise.resolve();
	/** Whether a shard may have missed a change. */
	#isUntold = false;
	#running: Promise<number> | null = null;
	#next: Promise<number> | null = null;
	#timer: NodeJS.Timeout | undefined;
	#endWatch: (() => void) | null = null;

	constructor(parts: SharedRevocationsParts) {
		this.#parts = parts;
		this.#mustStore = parts.database != null;
	}

	/** Changes that wait for Redis. */
	get pending(): number {
		return this.#pending.size;
	}

	get list(): readonly Revocation[] {
		return this.#parts.kept.list;
	}

	/** Starts following the list. Resolves when PostgreSQL has been read, if there is one, or after `waitMs`. */
	async start(waitMs: number): Promise<void> {
		const { redis, everyMs, database } = this.#parts;
		this.#endWatch = redis.onRestored(() => this.#look());
		if (database == null) {
			this.#timer = setInterval(() => this.#look(), everyMs);
			return;
		}
		const taken = new Promise<void>((resolve) => {
			const take = () => void this.#takeStored().then(resolve, () => undefined);
			this.#timer = setInterval(() => {
				take();
				this.#look();
			}, everyMs);
			database.start(() => {
				this.#mustStore = true;
				take();
				this.#look();
			});
		});
		await withDeadline(taken, waitMs, "reading from PostgreSQL").catch((error: Error) => this.#tell(error));
		this.#isStarted = true;
	}

	/** Until Redis is reached, what is in PostgreSQL is in force. If that fails, the next call tries again. */
	#takeStored(): Promise<void> {
		if (this.#position !== null) return Promise.resolve();
		this.#taking ??= this.#take().catch((error: Error) => {
			this.#taking = null;
			this.#tell(error);
			throw error;
		});
		return this.#taking;
	}

	async #take(): Promise<void> {
		const { database, kept, apply } = this.#parts;
		const { epoch, entries } = await database!.load();
		if (this.#position !== null) return;
		if (kept.list.length === 0) this.#takenEpoch = epoch;
		const changes = entriesIn(entries, (problem) => this.#invalid(problem)).map((add) => ({ add }));
		// What was changed here meanwhile is newer.
		const news = changes.filter((change) => !kept.has(change) && !this.#pending.has(keyOf(change)));
		await Promise.all(news.map((change) => kept.change(change)));
		// The shards have read the list when they started.
		if (news.length > 0) this.#isUntold = this.#isStarted;
		if (this.#isUntold) await apply("all");
		this.#isUntold = false;
	}

	stop(): void {
		this.#parts.database?.stop();
		this.#endWatch?.();
		clearInterval(this.#timer);
	}

	/** Applies a change on this node and sends it to Redis. "alone" = Redis cannot be reached and gets it later. Shards and other nodes get it by an order. */
	async change(change: RevocationChange): Promise<RevocationOutcome> {
		const { kept } = this.#parts;
		const outcome = await kept.change(change);
		if (outcome === "full") return outcome;
		if (this.#pending.size >= revocationsMax) return this.#alone(change);
		this.#wait(change);
		this.#asked.add(change);
		try {
			await withDeadline(this.catchUp(), changeMsMax, "giving the change to Redis");
		} catch {
			if (this.#pending.get(keyOf(change)) === change) return this.#alone(change);
		} finally {
			this.#asked.delete(change);
		}
		const isUnwritten = this.#unwritten.delete(change);
		if (!this.#refused.delete(change)) return isUnwritten ? "unwritten" : outcome;
		if ("add" in change) await kept.change({ remove: { kind: change.add.kind, id: change.add.id } });
		return "full";
	}

	/**
	 * A restart forgets what is pending. The list on the disk has it, and is then no copy of that in Redis: both are put together, so that nobody who was
	 * blocked is let in.
	 */
	async #alone(change: RevocationChange): Promise<RevocationOutcome> {
		const { database } = this.#parts;
		this.#unwritten.delete(change);
		if (database != null) {
			// Also if it is written: Redis must get it from there if this node ends.
			this.#mustStore = true;
			const mark = { epoch: this.#position === null ? "" : epochIn(this.#position), version: this.#position?.version ?? 0 };
			database.write([rowOf(change, mark)], false).catch((error: Error) => this.#tell(error));
		}
		if (!this.#isKnownStale) await this.#write("");
		this.#isKnownStale = true;
		return "alone";
	}

	/** One after the other. */
	#write(text: string): Promise<void> {
		if (text === this.#text) return this.#written;
		const { known, log } = this.#parts;
		const write = () => known.write(text);
		this.#text = text;
		this.#written = this.#written.then(write).catch((error: Error) => {
			this.#text = null;
			log.warn(`the position of the list of blocked users and revoked tokens could not be written: ${error.message}`);
		});
		return this.#written;
	}

	/**
	 * Sends Redis the changes that it lacks, and reads those that this node lacks. Starts after the call, so it includes everything that is in Redis now.
	 * Resolves with the number of connections and subscriptions that were ended. Rejects when Redis cannot be reached, or a shard does not answer.
	 */
	catchUp(): Promise<number> {
		if (this.#next !== null) return this.#next;
		if (this.#running === null) return this.#begin();
		this.#next = this.#running
			.catch(() => 0)
			.then(() => {
				this.#next = null;
				return this.#begin();
			});
		return this.#next;
	}

	#begin(): Promise<number> {
		const running = this.#run().finally(() => {
			this.#running = null;
		});
		this.#running = running;
		return running;
	}

	#look(): void {
		if (this.#parts.redis.state === "ready") this.catchUp().catch(() => undefined);
	}

	async #run(): Promise<number> {
		try {
			const list = await this.#state();
			const isContinued = this.#position !== null && continues(this.#position, list);
			if (!isContinued && this.#parts.database != null) this.#mustStore = true;
			const isMerged = this.#mustStore && (await this.#merge(list));
			const ended = await this.#compare(list, isContinued ? this.#position : null);
			if (isMerged) await this.#store();
			return ended;
		} catch (error) {
			this.counts.failed++;
			throw error;
		}
	}

	/** @param from the copy has the changes up to this position; null = it is no copy of this list. */
	async #compare(list: ListState, from: ListPosition | null): Promise<number> {
		if (from !== null) {
			await this.#push(list);
			return await this.#readChanges(list, from);
		}
		// At the start the list on disk may be older than the one in Redis: entries that are not in Redis were removed meanwhile.
		const onDisk = this.#position === null ? readPosition(this.#parts.known.read() ?? "") : null;
		const isTaken = this.#position === null && this.#takenEpoch === epochIn(list);
		const isCopy = isTaken || (onDisk !== null && continues(onDisk, list));
		if (!isCopy) {
			this.#isKnownStale = true;
			for (const add of this.#parts.kept.list) this.#wait({ add }, false);
		}
		await this.#push(list);
		const ended = await this.#readAll(list);
		return ended + (await this.#readChanges(list, list));
	}

	/**
	 * The list of this node is about to become a copy up to this position. The disk is told before: with a position that is too high, the worst after a
	 * restart is that the lists are merged needlessly.
	 */
	async #reach({ epoch, run, version }: ListPosition): Promise<void> {
		if (this.#isKnownStale && this.#pending.size > 0) return;
		this.#isKnownStale = false;
		await this.#write(positionText({ epoch, run, version }));
	}

	/** @param replaces a waiting change of the same entry. */
	#wait(change: RevocationChange, replaces = true): void {
		const key = keyOf(change);
		if (!replaces && this.#pending.has(key)) return;
		this.#pending.delete(key);
		this.#pending.set(key, change);
	}

	async #state(): Promise<ListState> {
		const { redis, keys } = this.#parts;
		const { state, entries, until } = keys.revocations;
		return readListState((await redis.run(stateScript, [state, entries, until], [randomUUID()])) as unknown[]);
	}

	/** In order of arrival. */
	async #push(list: ListPosition): Promise<void> {
		const { redis, keys } = this.#parts;
		const { state, entries, until, changes } = keys.revocations;
		while (this.#pending.size > 0) {
			const some = [...this.#pending].slice(0, pushedAtOnce);
			const answers = await Promise.all(
				some.map(([key, change]) => {
					const add = "add" in change ? change.add : null;
					const untilMs = add?.until === undefined ? "" : String(Math.ceil(add.until * 1000));
					const args = [key, JSON.stringify(change), add === null ? "" : JSON.stringify(add), untilMs];
					return redis.run(changeScript, [state, entries, until, changes], [...args, String(revocationsMax), String(changesKept)]);
				}),
			);
			const rows: RevocationRow[] = [];
			for (const [index, [key, change]] of some.entries()) {
				if (this.#pending.get(key) === change) this.#pending.delete(key);
				const [outcome, version] = answers[index] as [string, number];
				if (outcome !== "full") {
					this.counts.sent++;
					rows.push(rowOf(change, { epoch: epochIn(list), version: Number(version) }));
				} else if (this.#asked.has(change)) this.#refused.add(change);
				else this.#parts.log.error(`${revocationsMax} users and tokens are blocked on all nodes; an entry of this node found no room`);
			}
			await this.#writeRows(
				rows,
				some.map(([, change]) => change),
			);
		}
	}

	/** @param changes the same. */
	async #writeRows(rows: readonly RevocationRow[], changes: readonly RevocationChange[]): Promise<void> {
		const { database } = this.#parts;
		if (database == null || rows.length === 0) return;
		try {
			await withDeadline(database.write(rows, true), databaseMsMax, "writing to PostgreSQL");
		} catch (error) {
			// The whole list is written as soon as possible.
			this.#mustStore = true;
			for (const change of changes) if (this.#asked.has(change)) this.#unwritten.add(change);
			this.#tell(error as Error);
		}
	}

	/** Takes over what Redis lacks because it has lost it. False = PostgreSQL cannot be read. */
	async #merge(list: ListPosition): Promise<boolean> {
		const { database, kept } = this.#parts;
		try {
			const stored = await withDeadline(database!.load(), databaseMsMax, "reading from PostgreSQL");
			if (stored.epoch === null || stored.epoch === epochIn(list)) return true;
			for (const add of entriesIn(stored.entries, (problem) => this.#invalid(problem))) if (!kept.has({ add })) this.#wait({ add }, false);
			return true;
		} catch (error) {
			this.#tell(error as Error);
			return false;
		}
	}

	/** Makes the list in PostgreSQL a copy of that in Redis. */
	async #store(): Promise<void> {
		const { database, kept } = this.#parts;
		const position = this.#position!;
		const mark = { epoch: epochIn(position), version: position.version };
		this.#mustStore = false;
		try {
			const rows = kept.list.map((add) => rowOf({ add }, mark));
			await withDeadline(database!.replace(rows, mark.epoch, mark.version), 2 * databaseMsMax, "writing to PostgreSQL");
			this.#problem = "";
		} catch (error) {
			this.#mustStore = true;
			this.#tell(error as Error);
		}
	}

	#invalid(problem: string): void {
		this.counts.unreadable++;
		this.#parts.log.warn(`an entry of the list of blocked users and revoked tokens in PostgreSQL is invalid: ${problem}`);
	}

	/** Logs each problem once until it is over. */
	#tell({ message }: Error): void {
		if (message === this.#problem) return;
		this.#problem = message;
		this.#parts.log.error(`blocked users and revoked tokens are not written to PostgreSQL, which is tried again: ${message}`);
	}

	/** @param list as it was before. @param from the copy has the changes up to this position. */
	async #readChanges(list: ListState, from: ListPosition): Promise<number> {
		const { redis, keys } = this.#parts;
		const { changes } = keys.revocations;
		/** The last one of each entry: those before it do not matter any more. */
		const missed = new Map<string, RevocationChange>();
		let at = from.version;
		for (;;) {
			const range = ["XRANGE", changes, `(${at}-0`, "+", "COUNT", String(readAtOnce)];
			const entries = (await redis.send(changes, range)) as readonly [string, readonly string[]][];
			const first = entries[0]?.[0];
			const isGap = first === undefined ? at < list.version : Number.parseInt(first, 10) > at + 1;
			if (isGap) return this.#readAll(list);
			for (const [id, fields] of entries) {
				at = Number.parseInt(id, 10);
				const change = this.#parsed(fields[1], revocationChange);
				if (change !== null) missed.set(keyOf(change), change);
			}
			if (entries.length < readAtOnce) break;
		}
		const position = { ...list, version: at };
		await this.#reach(position);
		const ended = await this.#apply([...missed.values()]);
		this.#position = position;
		return ended;
	}

	/** @param list as it was before; later changes are read one by one. */
	async #readAll(list: ListState): Promise<number> {
		const { redis, keys, kept } = this.#parts;
		const { entries } = keys.revocations;
		this.counts.wholeReads++;
		const there = new Map<string, Revocation>();
		let cursor = "0";
		do {
			const [next, fields] = (await redis.send(entries, ["HSCAN", entries, cursor, "COUNT", String(readAtOnce)])) as [string, string[]];
			for (let at = 0; at + 1 < fields.length && there.size < revocationsMax; at += 2) {
				const change = this.#parsed(fields[at + 1], (add) => revocationChange({ add }));
				if (change !== null && "add" in change) there.set(keyOf(change), change.add);
			}
			cursor = next;
		} while (cursor !== "0");
		const changes: RevocationChange[] = kept.list.flatMap(({ kind, id }) => {
			const remove = { remove: { kind, id } };
			return there.has(keyOf(remove)) || this.#pending.has(keyOf(remove)) ? [] : [remove];
		});
		for (const add of there.values()) changes.push({ add });
		await this.#reach(list);
		const ended = await this.#apply(changes);
		this.#position = list;
		return ended;
	}

	#parsed(json: string | undefined, check: (data: unknown) => RevocationChange): RevocationChange | null {
		try {
			return check(JSON.parse(json ?? ""));
		} catch (error) {
			this.counts.unreadable++;
			this.#parts.log.warn(`an entry of the list of blocked users and revoked tokens in Redis is invalid: ${(error as Error).message}`);
			return null;
		}
	}

	/** Applies it on this node: to the list first, so that a shard that starts meanwhile gets it. */
	async #apply(all: readonly RevocationChange[]): Promise<number> {
		const { kept, apply } = this.#parts;
		const changes = all.filter((change) => !kept.has(change));
		this.counts.received += changes.length;
		const together = this.#isUntold || changes.length > singlyMax;
		if (changes.length > 0) this.#isUntold = true;
		await Promise.all(changes.map((change) => kept.change(change)));
		let ended = 0;
		if (together) ended = await apply("all");
		else for (const change of changes) ended += await apply(change);
		this.#isUntold = false;
		return ended;
	}
}

function keyOf(change: RevocationChange): string {
	const { kind, id } = "add" in change ? change.add : change.remove;
	return `${kind} ${id}`;
}

/** Names a list in PostgreSQL: another server may give versions again. */
function epochIn({ epoch, run }: ListPosition): string {
	return `${epoch} ${run}`;
}
