import { monotonicMs } from "@shardcast/wire";
import { partitionCells } from "../ingest-counters.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { ToWorker } from "../ingest-messages.ts";
import type { KafkaMode } from "../ingest-options.ts";
import { PositionLayout } from "../positions/position-descriptor.ts";
import { ownerOf, type PositionTable, slotOfOwner } from "../positions/position-table.ts";
import type { PartitionWithOffset, SourcePartition, StartPolicy, TopicFound } from "../source.ts";
import type { ClusterView } from "./cluster-view.ts";

export interface AssignmentParts {
	readonly mode: KafkaMode;
	readonly from: StartPolicy;
	readonly slot: number;
	readonly incarnation: number;
	readonly table: PositionTable;
	readonly memory: IngestMemory;
	readonly cluster: ClusterView;
	readonly send: (message: ToWorker) => void;
	readonly onTableFull: (topic: string, partition: number) => void;
}

const noOwner = 0;
/** How often rows are said to be in use. */
const useMs = 5000;

/**
 * Which partitions this shard reads, and from where. The cluster is its own group coordinator: what Kafka's group protocol finds
 * out by heartbeats within half a minute, the scoreboard knows at once.
 *
 * per-shard: all partitions. One that this shard has not read in its present life begins where its siblings are.
 *
 * shared: each partition has one owner, kept in the position table; partition number i (by row) belongs to member i modulo
 * members. A shard gives up what is no longer its own once all of it that it fetched is on the bus, and takes what is free or
 * whose owner is gone, from the position behind the last record that came onto the bus.
 *
 * **One per shard, on its loop.** `reconcile` may be called as often as one likes.
 */
export class Assignment {
	readonly #parts: AssignmentParts;
	readonly #self: number;
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
	/** `#partitions` is what the worker has found, not what is left of a worker that is gone. */
	#listed = false;
	/** What each row is of, as far as this shard knows: a row may become another partition's when nobody has use for it. */
	readonly #keys = new Map<number, string>();
	#usedMs = 0;
	/** When this shard's life began. */
	readonly #sinceMs = monotonicMs();

	constructor(parts: AssignmentParts) {
		this.#parts = parts;
		this.#self = ownerOf(parts.slot, parts.incarnation);
	}

	/** Rows that are read now, with their partitions. */
	get assigned(): readonly SourcePartition[] {
		return [...this.#assigned].map((row) => this.#partitions.get(row)!).filter((partition) => partition !== undefined);
	}

	/** All partitions of the subscription that there are. */
	get known(): readonly SourcePartition[] {
		return [...this.#partitions.values()];
	}

	/** Null before the first list of topics. */
	get hasTopics(): boolean {
		return this.#firstScan !== null;
	}

	/** Every known partition has a place to begin. */
	get settled(): boolean {
		return this.hasTopics && this.known.every(({ row }) => this.#parts.table.position(row) !== null);
	}

	topicsFound(topics: readonly TopicFound[]): void {
		const { table, onTableFull } = this.#parts;
		const found = new Map<number, SourcePartition>();
		for (const { topic, topicId, partitions } of topics)
			for (let partition = 0; partition < partitions; partition++) {
				const row = table.rowOf({ topic, topicId, partition }, monotonicMs());
				if (row < 0) onTableFull(topic, partition);
				else found.set(row, this.#known({ row, topic, topicId, partition }));
			}
		this.#partitions = found;
		this.#listed = true;
		this.#firstScan ??= table.scanned ? new Set() : new Set(found.keys());
		this.#resolve();
		this.reconcile();
	}

	#known(partition: SourcePartition): SourcePartition {
		const { row, topic, topicId } = partition;
		const key = `${topic}/${topicId}/${partition.partition}`;
		if (this.#keys.get(row) !== key) {
			this.#keys.set(row, key);
			this.#begun.delete(row);
			for (const [cell] of partitionCells) this.#parts.memory.setCell(row, cell, 0);
		}
		return partition;
	}

	resolved(partitions: readonly PartitionWithOffset[]): void {
		for (const { row, offset } of partitions) {
			this.#resolving.delete(row);
			this.#parts.table.startAt(row, offset, monotonicMs());
		}
		this.reconcile();
	}

	unresolved(rows: readonly number[]): void {
		for (const row of rows) this.#resolving.delete(row);
		this.#retryResolve = true;
	}

	/** Brings what is read in line with what should be. Call when members may have changed, and now and then. */
	reconcile(): void {
		if (this.#retryResolve) this.#resolve();
		this.#noteScanned();
		this.#noteUse();
		// First what is over: a topic that was made anew is never read as both.
		this.#revoke([...this.#assigned].filter((row) => !this.#partitions.has(row)));
		if (this.#parts.mode === "per-shard") this.#assign([...this.#partitions.keys()].filter((row) => !this.#assigned.has(row)));
		else this.#share();
	}

	/** Nothing more of the row comes, and all of it that came is delivered. */
	revoked(row: number): void {
		this.#revoking.delete(row);
		this.#assigned.delete(row);
		if (this.#parts.mode === "shared") {
			this.#begun.delete(row);
			this.#parts.table.changeOwner(row, this.#self, noOwner);
		}
	}

	/**
	 * The worker is gone and all that it read is out: it is to be assigned anew, from where the loop is. In shared mode to anybody:
	 * who is to have a partition may be another shard by the time the next worker has found it.
	 */
	forgetWorker(): void {
		this.release();
		this.#resolving.clear();
		this.#revoking.clear();
		this.#partitions.clear();
		this.#listed = false;
	}

	/** Gives up every partition, when all that was fetched is delivered. The others take them up at once. */
	release(): void {
		for (const row of [...this.#assigned]) this.revoked(row);
	}

	#resolve(): void {
		this.#retryResolve = false;
		const { table, from, send } = this.#parts;
		const asked = [...this.#partitions.values()].filter(({ row }) => table.position(row) === null && !this.#resolving.has(row));
		if (asked.length === 0) return;
		for (const { row } of asked) this.#resolving.add(row);
		// What came while we were there, or after another topic of the name, is wanted from its first record on.
		const isNew = (partition: SourcePartition) => table.scanned || (partition.topicId !== null && table.knowsOther(partition));
		send({ type: "resolve", partitions: asked.map((partition) => ({ ...partition, from: isNew(partition) ? "earliest" : from })) });
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
		for (const row of new Set([...this.#partitions.keys(), ...this.#assigned])) this.#parts.table.use(row, nowMs);
	}

	#assign(rows: readonly number[]): void {
		const { mode, table, memory, send } = this.#parts;
		const partitions: PartitionWithOffset[] = [];
		for (const row of rows) {
			const position = mode === "shared" ? table.position(row) : table.positionSince(row, this.#sinceMs);
			if (position === null) continue;
			const offset = this.#begun.has(row) ? memory.cell(row, "drained") : position;
			memory.setCell(row, "drained", offset);
			this.#begun.add(row);
			this.#assigned.add(row);
			memory.host.add("assignments");
			partitions.push({ ...this.#partitions.get(row)!, offset });
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
		const mine = rows.filter((_, index) => members[index % members.length] === slot);
		const wanted = new Set(mine);
		this.#revoke([...this.#assigned].filter((row) => !wanted.has(row)));
		this.#assign(mine.filter((row) => !this.#assigned.has(row) && this.#claim(row)));
	}

	#claim(row: number): boolean {
		const { table, cluster } = this.#parts;
		const owner = table.owner(row);
		if (owner === this.#self) return true;
		if (owner !== noOwner) {
			const slot = slotOfOwner(owner);
			if (!cluster.isGone(slot, (owner - 1 - slot) / PositionLayout.slotsMax)) return false;
			table.intent(slot).settle(() => cluster.ringTail(slot));
		}
		return table.changeOwner(row, owner, this.#self);
	}
}
