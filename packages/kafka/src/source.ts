/** A partition with its number in the ingest: `row` is its row in the position table and in all counters. */
export interface SourcePartition {
	readonly row: number;
	readonly topic: string;
	/** Unique, even among topics that had the same name. Null when the brokers do not report it. */
	readonly topicId: string | null;
	readonly partition: number;
	/** The records come from another node, which has read them and writes its dead letters. */
	readonly followed?: boolean;
}

/** How the nodes share the reading of partitions, by row. Rows that are in neither list are read by each node by itself. */
export interface PartitionRoles {
	/** This node reads them from Kafka and passes the records on. */
	readonly read: readonly number[];
	/** Another node reads them. */
	readonly follow: readonly number[];
}

/** Where to start when no shard of this cluster has delivered anything from a partition yet. */
export type StartPolicy = "latest" | "earliest" | "committed";

/** Where a partition without a position starts. */
export interface StartRule {
	readonly from: StartPolicy;
	/** Start at the first record instead if it is not older than this (`Date.now()`), or if there is none yet. Null turns this off. */
	readonly newIfSinceMs: number | null;
}

export interface PartitionWithOffset extends SourcePartition {
	readonly offset: number;
	/** Epoch of the leader that wrote the record before `offset`; -1 = unknown. */
	readonly epoch: number;
}

export interface TopicFound {
	readonly topic: string;
	readonly topicId: string | null;
	readonly partitions: number;
}

/** Options that name topics, such as `--kafka-topics`, with those topics. */
export type TopicOptions = readonly (readonly [option: string, topics: readonly string[]])[];

/** What the brokers report about the requested topics. */
export interface TopicList {
	readonly topics: readonly TopicFound[];
	/** Topics that our user may not read. The brokers may hide whether they exist. */
	readonly denied: readonly string[];
	/** Requested names for which the brokers report that there is no such topic. */
	readonly missing: readonly string[];
	/** `Date.now()` of the previous listing; null for the first. */
	readonly previousLookMs: number | null;
}

/** The current record. Key and value are in `bytes`; a start of -1 means null. Valid only during the call. */
export interface SourceRecord {
	readonly bytes: Buffer;
	readonly offset: number;
	/** Epoch of the leader that wrote it. */
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
	["credentials", "the broker refused the credentials or the certificate"],
	["authorization", "the user may not read a topic or use the group"],
	["topicMissing", "a topic requested by name does not exist"],
	["offsetReset", "the next offset was not in the log (retention; records that a failed leader took with it; the topic was recreated)"],
	["truncated", "a leader failed, and records that no other broker had are lost; reading continues where the logs diverge"],
	["topicRecreated", "a topic was deleted and recreated: it is read from its first record"],
	["corrupt", "a batch could not be read"],
	["commit", "offsets could not be committed"],
	["partitionLimit", "there are more partitions than the position table holds"],
	["route", "the route module could not be loaded"],
	["protocol", "any other unexpected answer of a broker"],
] as const;
export type TroubleKind = (typeof troubleKinds)[number][0];

/** Receives the records. A source calls it on its own thread, for one partition at a time and in order of offset. */
export interface SourceSink {
	/** Called when the list has changed. */
	topicsFound(list: TopicList): void;
	/** Called when the topics were listed, with that time (`Date.now()`). */
	looked(atMs: number): void;
	/** Reports the end of the partition's log. Records before it may not have been offered yet. */
	logEnds(partition: SourcePartition, logEnd: number): void;
	/** Takes a record. False = no room: the source offers it again after `room()`. */
	take(partition: SourcePartition, record: SourceRecord): boolean | Promise<boolean>;
	/** Resolves when there is room again, or when the source must stop. */
	room(): Promise<void>;
	/** All records before `nextOffset` were offered. False = no room, as with `take`. */
	offered(partition: SourcePartition, nextOffset: number): boolean;
	/** The partition continues at `offset` instead of after the last record; this may be lower. False = no room. */
	reset(partition: SourcePartition, offset: number): boolean;
	/** The leader of `epoch` wrote the record before `from` and those after it, until the next call. */
	epoch(partition: SourcePartition, epoch: number, from: number): void;
	/** No more records of this partition follow. False = no room. */
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
	/** Finds the offsets to start from. Rejects when the brokers cannot be reached. */
	resolve(partitions: readonly (SourcePartition & StartRule)[]): Promise<readonly PartitionWithOffset[]>;
	assign(partitions: readonly PartitionWithOffset[]): void;
	/** Stops reading these rows. Calls `sink.revoked` after the last record of each. */
	revoke(rows: readonly number[]): void;
	/** Changes which partitions are read for other nodes, and which are read by them. May be called at any time. */
	divide(roles: PartitionRoles): void;
	/** Commits offsets, with the epochs that the source knows. */
	commit(offsets: readonly (SourcePartition & { readonly offset: number })[]): Promise<void>;
	/** Stops reading. When it has resolved, nothing more is offered; offsets can still be committed. */
	halt(): Promise<void>;
	/** Halts and closes all connections. */
	close(): Promise<void>;
}
