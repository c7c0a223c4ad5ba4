import { monotonicMs } from "@shardcast/wire";
import { partitionCells } from "../../ingest-counters.ts";
import type { IngestMemory } from "../../ingest-memory.ts";
import type { ToWorker } from "../../ingest-messages.ts";
import type { KafkaMode } from "../../ingest-options.ts";
import type { PositionRows } from "../../positions/position-rows.ts";
import { type Claimant, incarnationOfOwner, ownerOf, type PositionTable, slotOfOwner } from "../../positions/position-table.ts";
import type { PartitionWithOffset, SourcePartition, StartPolicy, TopicList } from "../../source.ts";
import type { ClusterView } from "./cluster-view.ts";
import { HandOver } from "./hand-over.ts";
import { partitionShares } from "./partition-shares.ts";
import { StartRules } from "./start-rules.ts";

export interface AssignmentParts {
	readonly mode: KafkaMode;
	readonly from: StartPolicy;
	/** Whether the subscription asks for the topic by its name. */
	readonly isNamed: (topic: string) => boolean;
	readonly slot: number;
	readonly incarnation: number;
	readonly table: PositionTable;
	readonly memory: IngestMemory;
	readonly cluster: ClusterView;
	readonly send: (message: ToWorker) => void;
	/** This shard begins to read it. */
	readonly onAssign?: (partition: SourcePartition) => void;
	readonly onTableFull: (topic: string, partition: number) => void;
	/** Another shard has held the table for so long that its process must be paused: new partitions wait for it. */
	readonly onTableHeld: (slot: number, heldMs: number) => void;
}

const noOwner = 0;
/** How often rows are said to be in use. */
const useMs = 5000;
/** Partitions named at once. */
const unsettledMax = 8;
/** A claim takes microseconds. */
const heldMsMax = 1000;

/**
 * Which partitions this shard reads, and from where. The cluster is its own group coordinator: what Kafka's group protocol finds
 * out by heartbeats within half a minute, the scoreboard knows at once.
 *
 * per-shard: all partitions. One that this shard has not read in its present life begins where its siblings are.
 *
 * shared: each partition has one owner, kept in the position table; which member it should be, `partitionShares` says. A shard gives up what is no longer its own once all of it that it fetched has been read off the bus, and takes what is
 * free or whose owner is gone, from the position behind the last record that came onto the bus. See HandOver.
 *
 * **One per shard, on its loop.** `reconcile` may be called as often as one likes.
 */
export class Assignment {
	readonly #parts: AssignmentParts;
	readonly #self: number;
	readonly #claimant: Claimant;
	readonly #rules: StartRules;
	readonly #handOver: HandOver;
	#partitions = new Map<number, SourcePartition>();
	/** Rows of which the broker is being asked where to begin. */
	readonly #resolving = new Set<number>();
	/** The first list of topics: its rows decide when the table counts as scanned. */
	#firstScan: Set<number> | null = null;
	readonly #assigned = new Set<number>();
	readonly #revoking = new Set<number>();
	/** Rows that this shard has read in this life: what it delivered counts, not what its siblings have. */
	readonly #begun = new Set<number>();
	#retryResolve = false;
	/** What waits for the table: the newest list of topics, and starts and epochs that the broker has told. At most one of each row. */
	#topics: TopicList | null = null;
	readonly #starts = new Map<number, { readonly offset: number; readonly epoch: number }>();
	readonly #epochs = new Map<number, { readonly epoch: number; readonly from: number }>();
	/** Since when the table has been another shard's whenever we looked. */
	#heldSinceMs: number | null = null;
	#heldTold = false;
	#joined = false;
	/** Rows that the table knows to be in use here. */
	readonly #using = new Set<number>();
	/** `#partitions` is what the worker has found, not what is left of a worker that is gone. */
	#listed = false;
	/** What each row is of, as far as this shard knows: a row may become another partition's when nobody has use for it. */
	readonly #keys = new Map<number, string>();
	#usedMs = 0;
	#sharesKey = "";
	#lastShares: ReadonlyMap<number, number> = new Map();
	/** When this shard's life began. */
	readonly #sinceMs = monotonicMs();

	constructor(parts: AssignmentParts) {
		this.#parts = parts;
		this.#self = ownerOf(parts.slot, parts.incarnation);
		this.#claimant = { self: this.#self, isGone: (owner) => this.#isGone(owner) };
		this.#rules = new StartRules(parts);
		this.#handOver = new HandOver({ ...parts, self: this.#self });
	}

	/** Rows that are read now, with their partitions. */
	get assigned(): readonly SourcePartition[] {
		return [...this.#assigned].map((row) => this.#partitions.get(row)!).filter((partition) => partition !== undefined);
	}

	/** All partitions of the subscription that there are. */
	get known(): readonly SourcePartition[] {
		return [...this.#partitions.values()];
	}

	/** Whether `known` is what there is: not before the first list of topics of a worker. */
	get isListed(): boolean {
		return this.#listed;
	}

	/** False before the first list of topics. */
	get hasTopics(): boolean {
		return this.#firstScan !== null;
	}

	/** Every known partition has a place to begin. */
	get settled(): boolean {
		return this.hasTopics && this.#topics === null && this.known.every((partition) => this.#hasStart(partition));
	}

	/** Some of the partitions that have no place to begin yet, for people. */
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

	/** Writes into the table what waits for it; while another shard is at the table it waits for the next call. */
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
		// One that we let go of may have been another partition's in between; it then starts over.
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

	/** The source has read what a leader of that epoch wrote. */
	epochFound(row: number, epoch: number, from: number): void {
		if (this.#using.has(row) && epoch > (this.#epochs.get(row)?.epoch ?? -1)) this.#epochs.set(row, { epoch, from });
	}

	unresolved(rows: readonly number[]): void {
		for (const row of rows) this.#resolving.delete(row);
		this.#retryResolve = true;
	}

	/** Brings what is read in line with what should be. Call when members may have changed, and now and then. */
	reconcile(): void {
		this.#changeTable();
		this.#handOver.look();
		if (!this.hasTopics) return;
		if (this.#retryResolve) this.#resolve();
		this.#noteScanned();
		this.#noteUse();
		// First what is over: a topic that was recreated is never read as both.
		this.#revoke([...this.#assigned].filter((row) => !this.#partitions.has(row)));
		if (this.#parts.mode === "per-shard") this.#assign([...this.#partitions.keys()].filter((row) => !this.#assigned.has(row)));
		else this.#share();
	}

	/** Nothing more of the row comes, and all of it that came is delivered, or on the bus. */
	revoked(row: number): void {
		const { mode } = this.#parts;
		this.#revoking.delete(row);
		this.#assigned.delete(row);
		if (mode === "per-shard") return;
		this.#begun.delete(row);
		this.#handOver.leave(row);
	}

	/** A partition changes hands, or is about to, once the other shards have read what its former owner put on the bus: look again soon. */
	get waitsForReaders(): boolean {
		return this.#handOver.waits;
	}

	/**
	 * The worker is gone and all that it read is out: it is to be assigned again, from where the loop is. In shared mode to anybody:
	 * the shard that is to have a partition may be another one by the time the next worker has found it.
	 */
	forgetWorker(): void {
		this.release();
		this.#resolving.clear();
		this.#revoking.clear();
		this.#partitions.clear();
		this.#listed = false;
	}

	/** Gives up every partition, when all that was fetched is delivered. */
	release(): void {
		for (const row of [...this.#assigned]) this.revoked(row);
	}

	/** After `release`: true once the others may take everything up. */
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
		// A topic that was deleted before its start was found is not waited for.
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

	/** Computed again only when rows or members have changed. */
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
			// Given up, and wanted again before it was anybody else's.
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
