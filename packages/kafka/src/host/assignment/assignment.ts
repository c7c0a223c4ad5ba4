import { monotonicMs } from "@shardcast/wire";
import { partitionCells } from "../../ingest-counters.ts";
import type { IngestMemory } from "../../ingest-memory.ts";
import type { ToWorker } from "../../ingest-messages.ts";
import type { KafkaMode } from "../../ingest-options.ts";
import type { PositionRows } from "../../positions/position-rows.ts";
import { type Claimant, incarnationOfOwner, ownerOf, type PositionTable, slotOfOwner } from "../../positions/position-table.ts";
import type { PartitionWithOffset, SourcePartition, StartPolicy, TopicList } from "../../source.ts";
import type { ClusterView } from "./cluster-view.ts";
import { Handover } from "./handover.ts";
import { partitionShares } from "./partition-shares.ts";
import { StartRules } from "./start-rules.ts";

interface AssignmentParts {
	readonly mode: KafkaMode;
	readonly from: StartPolicy;
	/** Whether the subscription requests the topic by name. */
	readonly isNamed: (topic: string) => boolean;
	readonly slot: number;
	readonly incarnation: number;
	readonly table: PositionTable;
	readonly memory: IngestMemory;
	readonly cluster: ClusterView;
	readonly send: (message: ToWorker) => void;
	/** Called when this shard starts to read a partition. */
	readonly onAssign?: (partition: SourcePartition) => void;
	readonly onTableFull: (topic: string, partition: number) => void;
	/** Called when another shard has held the table for so long that its process must be paused. New partitions wait for it. */
	readonly onTableHeld: (slot: number, heldMs: number) => void;
}

const noOwner = 0;
/** Interval at which rows are marked as used. */
const useMs = 5000;
/** Most partitions named in `unsettled`. */
const unsettledMax = 8;
/** A claim that is held longer is reported. It normally takes microseconds. */
const heldMsMax = 1000;

/**
 * Decides which partitions this shard reads, and from which offsets. The cluster is its own group coordinator: the scoreboard shows a dead
 * shard at once, while Kafka's group protocol needs up to half a minute.
 *
 * In per-shard mode a shard reads all partitions. One that this incarnation has not read yet starts where the other shards are.
 *
 * In shared mode each partition has one owner, stored in the position table; `partitionShares` says which shard it should be. A shard
 * releases a partition when all shards have read its fetched records from the bus. It takes partitions that are free or have a dead owner,
 * from the position after the last record on the bus. See Handover.
 *
 * **One per shard, on its loop.** `reconcile` may be called at any time.
 */
export class Assignment {
	readonly #parts: AssignmentParts;
	readonly #self: number;
	readonly #claimant: Claimant;
	readonly #rules: StartRules;
	readonly #handOver: Handover;
	#partitions = new Map<number, SourcePartition>();
	/** Rows whose start the worker is requesting from the brokers. */
	readonly #resolving = new Set<number>();
	/** Rows of the first list of topics. The table is marked as scanned when all of them have a start. */
	#firstScan: Set<number> | null = null;
	readonly #assigned = new Set<number>();
	readonly #revoking = new Set<number>();
	/** Rows that this incarnation has read. They continue at this shard's own position, not at that of the others. */
	readonly #begun = new Set<number>();
	#retryResolve = false;
	/** Changes that wait for the table: the newest list of topics, and starts and epochs from the brokers, at most one per row. */
	#topics: TopicList | null = null;
	readonly #starts = new Map<number, { readonly offset: number; readonly epoch: number }>();
	readonly #epochs = new Map<number, { readonly epoch: number; readonly from: number }>();
	/** Start of the time in which another shard held the table on every attempt. */
	#heldSinceMs: number | null = null;
	#heldTold = false;
	#joined = false;
	/** Rows that the table lists this shard as a user of. */
	readonly #using = new Set<number>();
	/** Whether the current worker has reported its list of topics. */
	#listed = false;
	/** The partition of each row, as far as this shard knows. An unused row may be reused for another partition. */
	readonly #keys = new Map<number, string>();
	#usedMs = 0;
	#sharesKey = "";
	#lastShares: ReadonlyMap<number, number> = new Map();
	/** Start time of this incarnation. */
	readonly #sinceMs = monotonicMs();

	constructor(parts: AssignmentParts) {
		this.#parts = parts;
		this.#self = ownerOf(parts.slot, parts.incarnation);
		this.#claimant = { self: this.#self, isGone: (owner) => this.#isGone(owner) };
		this.#rules = new StartRules(parts);
		this.#handOver = new Handover({ ...parts, self: this.#self });
	}

	/** Partitions that are read now. */
	get assigned(): readonly SourcePartition[] {
		return [...this.#assigned].map((row) => this.#partitions.get(row)!).filter((partition) => partition !== undefined);
	}

	/** All partitions of the subscription. */
	get known(): readonly SourcePartition[] {
		return [...this.#partitions.values()];
	}

	/** Whether `known` is complete: not before a worker's first list of topics. */
	get isListed(): boolean {
		return this.#listed;
	}

	/** False before the first list of topics. */
	get hasTopics(): boolean {
		return this.#firstScan !== null;
	}

	/** Whether every known partition has a start. */
	get settled(): boolean {
		return this.hasTopics && this.#topics === null && this.known.every((partition) => this.#hasStart(partition));
	}

	/** Some of the partitions without a start, to show to people. */
	get unsettled(): readonly SourcePartition[] {
		return this.known.filter((partition) => !this.#hasStart(partition)).slice(0, unsettledMax);
	}

	#hasStart({ row }: SourcePartition): boolean {
		return this.#parts.table.position(row) !== null;
	}

	topicsFound(list: TopicList): void {
		this.#topics = list;
		this.reconcile();
	}

	/** Applies waiting changes to the table. While another shard holds it, they wait for the next call. */
	#changeTable(): void {
		if (this.#topics === null && this.#starts.size === 0 && this.#epochs.size === 0) return;
		const { table, memory } = this.#parts;
		const changed = table.claimed(this.#claimant, (rows) => {
			if (!this.#joined) rows.forgetUser(this.#parts.slot);
			this.#joined = true;
			for (const [row, { offset, epoch }] of this.#starts) {
				rows.startAt(row, offset, monotonicMs());
				if (epoch >= 0) rows.noteEpoch(row, epoch, offset);
			}
			for (const [row, { epoch, from }] of this.#epochs) rows.noteEpoch(row, epoch, from);
			if (this.#topics !== null) this.#list(rows, this.#topics);
			return true;
		});
		if (changed === null) {
			memory.host.add("tableBusy");
			this.#noteHeld();
			return;
		}
		this.#heldSinceMs = null;
		this.#heldTold = false;
		for (const row of this.#starts.keys()) {
			this.#resolving.delete(row);
			this.#rules.forget(row);
		}
		this.#starts.clear();
		this.#epochs.clear();
		if (this.#topics !== null) {
			this.#topics = null;
			this.#resolve();
		}
	}

	#noteHeld(): void {
		const nowMs = monotonicMs();
		this.#heldSinceMs ??= nowMs;
		const heldMs = nowMs - this.#heldSinceMs;
		if (heldMs < heldMsMax || this.#heldTold) return;
		this.#heldTold = true;
		this.#parts.onTableHeld(slotOfOwner(this.#parts.table.claimedBy), heldMs);
	}

	#list(rows: PositionRows, list: TopicList): void {
		const { table, slot, onTableFull } = this.#parts;
		this.#rules.list(rows, list, monotonicMs());
		for (const note of this.#rules.notes) this.#using.add(note);
		const found = new Map<number, SourcePartition>();
		for (const { topic, topicId, partitions } of list.topics)
			for (let partition = 0; partition < partitions; partition++) {
				const key = { topic, topicId, partition };
				const row = rows.rowOf(key, slot, monotonicMs());
				if (row < 0) {
					onTableFull(topic, partition);
					continue;
				}
				const known = this.#known({ row, ...key });
				found.set(row, known);
				this.#using.add(row);
				if (table.position(row) === null) this.#rules.decide(rows, known);
			}
		this.#partitions = found;
		this.#listed = true;
		this.#firstScan ??= table.scanned ? new Set() : new Set(found.keys());
	}

	#known(partition: SourcePartition): SourcePartition {
		const { row, topic, topicId } = partition;
		const { table, memory, slot } = this.#parts;
		const key = `${topic}/${topicId}/${partition.partition}`;
		const isSame = this.#keys.get(row) === key;
		// A row that this shard has dropped may have been reused meanwhile. Then it starts over.
		if (isSame && (this.#using.has(row) || table.delivered(row, slot) > 0)) return partition;
		this.#begun.delete(row);
		this.#rules.forget(row);
		if (isSame) return partition;
		this.#keys.set(row, key);
		for (const [cell] of partitionCells) memory.setCell(row, cell, 0);
		return partition;
	}

	resolved(partitions: readonly PartitionWithOffset[]): void {
		for (const { row, offset, epoch } of partitions) this.#starts.set(row, { offset, epoch });
		this.reconcile();
	}

	/** Call when the source has read the first record of a leader epoch. */
	epochFound(row: number, epoch: number, from: number): void {
		if (this.#using.has(row) && epoch > (this.#epochs.get(row)?.epoch ?? -1)) this.#epochs.set(row, { epoch, from });
	}

	unresolved(rows: readonly number[]): void {
		for (const row of rows) this.#resolving.delete(row);
		this.#retryResolve = true;
	}

	/** Assigns and revokes partitions as needed. Call periodically, and when the live shards may have changed. */
	reconcile(): void {
		this.#changeTable();
		this.#handOver.look();
		if (!this.hasTopics) return;
		if (this.#retryResolve) this.#resolve();
		this.#noteScanned();
		this.#noteUse();
		// Revoke first, so that a recreated topic is never read under both ids.
		this.#revoke([...this.#assigned].filter((row) => !this.#partitions.has(row)));
		if (this.#parts.mode === "per-shard") this.#assign([...this.#partitions.keys()].filter((row) => !this.#assigned.has(row)));
		else this.#share();
	}

	/** Call when the row was revoked: no more records follow, and all earlier ones are delivered or on the bus. */
	revoked(row: number): void {
		const { mode } = this.#parts;
		this.#revoking.delete(row);
		this.#assigned.delete(row);
		if (mode === "per-shard") return;
		this.#begun.delete(row);
		this.#handOver.leave(row);
	}

	/** True while a change of owner waits for other shards to read the former owner's records from the bus. Check again soon. */
	get waitsForReaders(): boolean {
		return this.#handOver.waits;
	}

	/**
	 * Call when the worker is gone and its ring is empty. Its partitions are then assigned again, from the loop's positions. In shared mode any
	 * shard may take them, since the right owner may have changed before the next worker finds them.
	 */
	forgetWorker(): void {
		this.release();
		this.#resolving.clear();
		this.#revoking.clear();
		this.#partitions.clear();
		this.#listed = false;
	}

	/** Gives up all partitions. Call when everything fetched is delivered. */
	release(): void {
		for (const row of [...this.#assigned]) this.revoked(row);
	}

	/** After `release`: true when other shards can take all partitions. */
	handedOver(): boolean {
		this.#handOver.look();
		return !this.#handOver.waits;
	}

	#resolve(): void {
		this.#retryResolve = false;
		const { table, send } = this.#parts;
		const asked = [...this.#partitions.values()].filter(({ row }) => table.position(row) === null && !this.#resolving.has(row));
		if (asked.length === 0) return;
		for (const { row } of asked) this.#resolving.add(row);
		send({ type: "resolve", partitions: asked.map((partition) => ({ ...partition, ...this.#rules.of(partition.row) })) });
	}

	#noteScanned(): void {
		const { table } = this.#parts;
		if (table.scanned || this.#firstScan === null || !this.#listed) return;
		// Do not wait for a topic that was deleted before its start was found.
		for (const row of this.#firstScan) if (this.#partitions.has(row) && table.position(row) === null) return;
		table.setScanned();
	}

	#noteUse(): void {
		const nowMs = monotonicMs();
		if (nowMs - this.#usedMs < useMs) return;
		this.#usedMs = nowMs;
		const { table, slot, memory } = this.#parts;
		table.looked(memory.worker.get("lookedMs"));
		for (const row of this.#using) {
			if (this.#partitions.has(row) || this.#assigned.has(row) || this.#rules.notes.has(row)) table.use(row, nowMs);
			else {
				this.#using.delete(row);
				table.drop(row, slot);
			}
		}
	}

	#assign(rows: readonly number[]): void {
		const { mode, table, memory, send, onAssign } = this.#parts;
		const partitions: PartitionWithOffset[] = [];
		for (const row of rows) {
			const position = mode === "shared" ? table.position(row) : table.positionSince(row, this.#sinceMs);
			if (position === null) continue;
			const offset = this.#begun.has(row) ? memory.cell(row, "delivered") : position;
			memory.setCell(row, "delivered", offset);
			this.#begun.add(row);
			this.#assigned.add(row);
			memory.host.add("assignments");
			onAssign?.(this.#partitions.get(row)!);
			partitions.push({ ...this.#partitions.get(row)!, offset, epoch: table.epochAt(row, offset) });
		}
		if (partitions.length > 0) send({ type: "assign", partitions });
	}

	#revoke(rows: readonly number[]): void {
		const fresh = rows.filter((row) => !this.#revoking.has(row));
		if (fresh.length === 0) return;
		for (const row of fresh) this.#revoking.add(row);
		this.#parts.memory.host.add("revocations", fresh.length);
		this.#parts.send({ type: "revoke", rows: fresh });
	}

	#share(): void {
		const { table, cluster, slot } = this.#parts;
		const members = cluster.members();
		if (members.length === 0) return;
		const rows = [...this.#partitions.keys()].filter((row) => table.position(row) !== null).toSorted((a, b) => a - b);
		const shares = this.#shares(rows, members);
		const mine = rows.filter((row) => shares.get(row) === slot);
		const wanted = new Set(mine);
		this.#revoke([...this.#assigned].filter((row) => !wanted.has(row)));
		this.#assign(mine.filter((row) => !this.#assigned.has(row) && this.#claim(row)));
	}

	/** Recomputed only when rows or members have changed. */
	#shares(rows: readonly number[], members: readonly number[]): ReadonlyMap<number, number> {
		const key = `${members.join()}|${rows.join()}`;
		if (this.#sharesKey !== key) {
			this.#sharesKey = key;
			this.#lastShares = partitionShares(rows, members);
		}
		return this.#lastShares;
	}

	#claim(row: number): boolean {
		const { table, cluster } = this.#parts;
		const owner = table.owner(row);
		if (owner === this.#self) {
			// This shard gave it up, but no other has taken it yet.
			this.#handOver.keep(row);
			return true;
		}
		if (owner !== noOwner) {
			if (!this.#isGone(owner)) return false;
			const slot = slotOfOwner(owner);
			table.intent(slot).settle(() => cluster.ringTail(slot), this.#parts.slot);
			if (!this.#handOver.isReadToItsEnd(owner)) return false;
		}
		return table.changeOwner(row, owner, this.#self);
	}

	#isGone(owner: number): boolean {
		return this.#parts.cluster.isGone(slotOfOwner(owner), incarnationOfOwner(owner));
	}
}
