/** A partition with its number in the ingest: `row` is its row in the position table and in all counters. */
export interface SourcePartition {
	readonly row: number;
	readonly topic: string;
	/** Unique, even among topics that had the same name. Null when the brokers do not report it. */
	readonly topicId: string | null;
	readonly partition: number;
}

/** Where to start when no shard of this cluster has delivered anything from a partition yet. */
export type StartPolicy = "latest" | "earliest" | "committed";

/** Where a partition without a position starts. */
export interface StartRule {
	readonly from: StartPolicy;
	/** Begins at its first record after all if that is not older than this (`Date.now()`), or is yet to come. Null = it does not matter. */
	readonly newIfSinceMs: number | null;
}

export interface PartitionWithOffset extends SourcePartition {
	readonly offset: number;
	/** Epoch of the leader that wrote the record before `offset`; -1 = not known. */
	readonly epoch: number;
}

export interface TopicFound {
	readonly topic: string;
	readonly topicId: string | null;
	readonly partitions: number;
}

/** What the brokers report about the requested topics. */
export interface TopicList {
	readonly topics: readonly TopicFound[];
	/** Names that we may not read, or not even know of: whether there are such topics may be hidden. */
	readonly denied: readonly string[];
	/** Requested names for which the brokers report that there is no such topic. */
	readonly missing: readonly string[];
	/** `Date.now()` at the look before this one; null = this is the first. */
	readonly previousLookMs: number | null;
}

/** One record while it is being looked at: key and value lie in `bytes`; a start of -1 means null. Good only within the call. */
export interface SourceRecord {
	readonly bytes: Buffer;
	readonly offset: number;
	/** Of the leader that wrote it. */
	readonly leaderEpoch: number;
	readonly timestampMs: number;
	readonly keyStart: number;
	readonly keyEnd: number;
	readonly valueStart: number;
	readonly valueEnd: number;
	header(name: string): Buffer | null | undefined;
	eachHeader(visit: (name: string, value: Buffer | null) => void): void;
}

/** Kinds of trouble, as counted and as shown by health. */
export const troubleKinds = [
	["connection", "the broker could not be reached, or the connection broke"],
	["credentials", "the broker refused our credentials or our certificate"],
	["authorization", "we may not read a topic or use the group"],
	["topicMissing", "a topic that was asked for by name does not exist"],
	["offsetReset", "the next offset was not in the log (retention; records that a failed leader took with it; the topic was recreated)"],
	["truncated", "a leader failed and took records with it that no other broker had; reading goes on where the logs part"],
	["topicRecreated", "a topic was deleted and recreated: it is read from its first record"],
	["corrupt", "a batch could not be read"],
	["commit", "offsets could not be committed"],
	["partitionLimit", "there are more partitions than the position table holds"],
	["route", "the route module could not be loaded"],
	["protocol", "the broker answered something else that was unexpected"],
] as const;
export type TroubleKind = (typeof troubleKinds)[number][0];

/** Receives the records. A source calls it on its own thread, for one partition at a time and in order of offset. */
export interface SourceSink {
	/** Whenever the list has changed. */
	topicsFound(list: TopicList): void;
	/** The topics were looked at, at that time (`Date.now()`). */
	looked(atMs: number): void;
	/** The partition ends there now; records before that may be under way. */
	logEnds(partition: SourcePartition, logEnd: number): void;
	/** False = no room: the same record is offered again after `room()`. */
	take(partition: SourcePartition, record: SourceRecord): boolean | Promise<boolean>;
	/** Resolves once it is worth offering again, or when the source has been told to stop. */
	room(): Promise<void>;
	/** All up to `nextOffset` was offered. False = no room, as with `take`. */
	offered(partition: SourcePartition, nextOffset: number): boolean;
	/** The partition goes on at `offset`, which is not where the last record ended; it may lie before that. False = no room. */
	reset(partition: SourcePartition, offset: number): boolean;
	/** The record before `from`, and those behind it until further notice, were written by the leader of that epoch. */
	epoch(partition: SourcePartition, epoch: number, from: number): void;
	/** Nothing more of this partition follows. False = no room. */
	revoked(partition: SourcePartition): boolean;
	trouble(kind: TroubleKind, message: string, where?: { topic: string; partition: number; offset: number }): void;
	/** This kind of trouble has ended. */
	healed(kind: TroubleKind): void;
}

/**
 * A Kafka client as the ingest sees it: it follows topics, fetches the assigned partitions, and stops fetching while there is no room. It is not
 * a member of a group; the ingest tells it which partitions to read, and from where. It reports errors to the sink and retries with back-off;
 * only `resolve` and `commit` can fail.
 */
export interface Source {
	start(): void;
	/** Offsets to start from. Rejects while the broker cannot be asked. */
	resolve(partitions: readonly (SourcePartition & StartRule)[]): Promise<readonly PartitionWithOffset[]>;
	assign(partitions: readonly PartitionWithOffset[]): void;
	/** `sink.revoked` follows once nothing more of the partition comes. */
	revoke(rows: readonly number[]): void;
	/** The source knows the epochs. */
	commit(offsets: readonly (SourcePartition & { readonly offset: number })[]): Promise<void>;
	/** Stops reading: nothing is offered once this resolves. Offsets can still be committed. */
	halt(): Promise<void>;
	/** Halts and closes all connections. */
	close(): Promise<void>;
}
