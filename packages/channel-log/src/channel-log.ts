import { channelList, encodeExtensions, type FullReason, type LogCapacity, monotonicMs, RecordKind } from "@shardcast/wire";
import type {
	Broker,
	BrokerAccepted,
	BrokerFull,
	BrokerTooLarge,
	History,
	HistoryLimits,
	HistoryOptions,
	HistorySummary,
	Idempotency,
	Position,
	PublishOptions,
} from "./broker.ts";
import { type ChannelName, ChannelNames, epochOf, epochText } from "./channel-names.ts";
import { type Feed, type FeedRecord, sequenceOf } from "./feed.ts";
import { checkKeyTtl, checkLimits } from "./limits.ts";
import { HeaderWord, type LogCounter, RecordFlag } from "./memory/log-descriptor.ts";
import { feederOf, releaseFeed, takeFeed } from "./memory/log-feeder.ts";
import { createLogBuffers, createLogFiles, openLogBuffers, openLogFiles } from "./memory/log-files.ts";
import { fillOf, type LogFill } from "./memory/log-fill.ts";
import { holderOf } from "./memory/log-lock.ts";
import type { LogMemory } from "./memory/log-memory.ts";
import { LogHistory } from "./records/log-history.ts";
import { LogReader } from "./records/log-reader.ts";
import { type LogRecordHead, recordBytes } from "./records/log-record.ts";
import { type AppendRequest, countedBy, countsOf, type OnceOutcome, SequencedLog } from "./sequenced-log.ts";

/** Identifies a user of the logs: a slot and its incarnation. At most one thread may use an identity at a time. */
export interface LogMember {
	readonly slot: number;
	readonly incarnation: number;
}

export interface ChannelLogOptions {
	/** Called after each publication, to wake sleeping readers: `RecordLoop.committed`. */
	readonly committed?: () => void;
	/** Returns CLOCK_MONOTONIC, the same in all processes. Tests pass another clock. */
	readonly nowMs?: () => number;
}

/** Options of `history` beyond those of a broker. */
export interface LogHistoryOptions extends HistoryOptions {
	/** Leaves out publications that this reader has not visited yet, since they will be delivered. So snapshot and live stream have no gap and no overlap. */
	readonly asOf?: LogReader;
	/** Returns no publications, without copying any, if there are more than `limit` after `since`. */
	readonly allOrNone?: boolean;
}

/** Preallocated: a full log refuses many messages in a row. */
const noRoom: Readonly<Record<FullReason, BrokerFull>> = {
	locked: Object.freeze({ outcome: "full", reason: "locked" }),
	readers: Object.freeze({ outcome: "full", reason: "readers" }),
	memory: Object.freeze({ outcome: "full", reason: "memory" }),
	keys: Object.freeze({ outcome: "full", reason: "keys" }),
};

/** Options for a record from Kafka. */
export interface FeedOptions extends Pick<PublishOptions, "history" | "kind" | "sender"> {
	readonly from: FeedRecord;
	/** Extensions of the record, encoded; readers get them with it. */
	readonly extensions?: Uint8Array;
}

/** Options for a publication of the durable store, or of Redis. */
export interface MirrorOptions extends Pick<PublishOptions, "history" | "kind" | "delta"> {
	readonly sender?: PublishOptions["sender"] | undefined;
	readonly info?: Uint8Array | undefined;
	readonly tags?: PublishOptions["tags"] | undefined;
	/** Its offset in the store, from 1. */
	readonly offset: number;
	readonly epoch0: number;
	readonly epoch1: number;
	/**
	 * No publication: only sets the position of the channel, and is not delivered. The history here begins after it. With "gap", publications up to
	 * the offset are lost here: readers get the channel's name as the payload, to tell its subscribers.
	 */
	readonly hidden?: "position" | "gap";
}

/** A channel that no client can name. */
const hiddenList = channelList(["\0"]);
const nothing = new Uint8Array(0);
const encoder = new TextEncoder();
/** Used instead of a partition's name for channels of the durable store. */
const storeName = 1;

/**
 * The broker of one machine. Channels with history are in a few sequenced logs in shared memory, which every shard appends to and reads.
 * **One per process or thread.** No call waits or is asynchronous: after `full` or null, try again in a later turn.
 *
 * A publication survives the death of any process. It is in the history and reaches every reader, or neither. All readers see the same
 * order in a channel. Epochs change when the cluster restarts, since the logs are lost.
 */
export class ChannelLog implements Broker {
	readonly #names: ChannelNames;
	readonly #self: number;
	readonly #logs: readonly SequencedLog[];
	readonly #histories: readonly LogHistory[];
	readonly #committed: () => void;
	readonly #nowMs: () => number;
	readonly #close: () => void;
	readonly #appending: { -readonly [Field in keyof AppendRequest]: AppendRequest[Field] };

	/** Creates the logs of a cluster in its directory. Called by the supervisor before any member starts. See `createLogFiles`. */
	static create(directory: string, capacity: LogCapacity): void {
		createLogFiles(directory, capacity);
	}

	/** Opens the logs of a cluster, in a shard. @throws NativeError or LogError when there are no logs that this program can read. */
	static open(directory: string, member: LogMember, options?: ChannelLogOptions): ChannelLog {
		const { memories, close } = openLogFiles(directory);
		return new ChannelLog(memories, member, { ...options, close });
	}

	/** Creates logs for a shard that runs alone. */
	static inMemory(capacity: LogCapacity, options?: ChannelLogOptions): ChannelLog {
		return new ChannelLog(openLogBuffers(createLogBuffers(capacity)), { slot: 0, incarnation: 1 }, options);
	}

	/** @param memories the memory of each log, in order. */
	constructor(
		memories: readonly LogMemory[],
		{ slot, incarnation }: LogMember,
		options: ChannelLogOptions & { readonly close?: () => void } = {},
	) {
		const self = holderOf(slot, incarnation);
		this.#self = self;
		const { words } = memories[0]!;
		this.#names = new ChannelNames(words.subarray(HeaderWord.secret, HeaderWord.secret + HeaderWord.secretWords));
		this.#logs = memories.map((memory) => new SequencedLog(memory, self));
		this.#histories = this.#logs.map((log) => new LogHistory(log));
		this.#committed = options.committed ?? (() => {});
		this.#nowMs = options.nowMs ?? monotonicMs;
		this.#close = options.close ?? (() => {});
		this.#appending = {
			channel: this.#names.get("-"),
			data: nothing,
			kind: RecordKind.text,
			info: nothing,
			tags: nothing,
			extensions: nothing,
			senderId: 0,
			senderLife: 0,
		};
	}

	publish(channel: string, data: Uint8Array, options: PublishOptions): BrokerAccepted | BrokerFull | BrokerTooLarge {
		const name = this.#names.get(channel);
		const { idempotency } = options;
		const log = this.#logs[name.log]!;
		const { head } = log;
		const appending = this.#prepare(name, data, options);
		appending.info = options.info ?? nothing;
		appending.tags = options.tags === undefined ? nothing : encoder.encode(JSON.stringify(options.tags));
		if (options.trace !== undefined) appending.extensions = encodeExtensions({ trace: options.trace });
		head.flags = options.delta === true ? RecordFlag.delta : 0;
		if (idempotency !== undefined) this.#takeKey(head, name, idempotency);
		const outcome = log.append(appending);
		// Drop the reference to the caller's bytes.
		appending.data = nothing;
		if (outcome === "known") throw new Error("only records from Kafka are known");
		if (outcome === "too_large") return { outcome, detail: tooLarge(log, data) };
		if (outcome !== "published" && outcome !== "duplicate") return noRoom[outcome];
		const position: Position = { offset: head.offset, epoch: epochOf(name, head.epoch0, head.epoch1) };
		if (outcome === "duplicate") return { outcome: "accepted", position, duplicate: true };
		this.#committed();
		return { outcome: "accepted", position };
	}

	/**
	 * Deduplicates for channels without history: calls `publish`, which must send the message elsewhere synchronously, unless the key was used
	 * before. Holds the log's lock meanwhile, and stores the key if `publish` returns true. If the process dies between the two, a repetition of
	 * the message is not recognised.
	 */
	once(channel: string, idempotency: Idempotency, publish: () => boolean): OnceOutcome {
		const name = this.#names.get(channel);
		const log = this.#logs[name.log]!;
		this.#takeKey(log.head, name, idempotency);
		log.head.timeMs = this.#nowMs();
		return log.once(publish);
	}

	/**
	 * Appends a record from Kafka. Returns `known` if any process has appended it already. All processes that read a partition must pass all its
	 * records in order, with the same channels for each. Allocates nothing; a known record does not take the lock.
	 * @throws RangeError as `publish` does, and for a record that is too long.
	 */
	feed(channel: string, data: Uint8Array, options: FeedOptions): "published" | "known" | FullReason {
		const name = this.#names.get(channel);
		const { feed, leaderEpoch } = options.from;
		const log = this.#logs[name.log]!;
		const { head } = log;
		head.flags = RecordFlag.fed;
		head.feed0 = feed.feed0;
		head.feed1 = feed.feed1;
		head.feedName = feed.name;
		head.leaderEpoch = leaderEpoch;
		head.sequence = sequenceOf(options.from);
		const entry = feed.entries[name.log]!;
		if (log.feeds.isKnown(head, entry)) return "known";
		const appending = this.#prepare(name, data, options);
		appending.info = nothing;
		appending.tags = nothing;
		appending.extensions = options.extensions ?? nothing;
		const outcome = log.append(appending, entry);
		appending.data = nothing;
		if (outcome === "too_large") throw new RangeError(tooLarge(log, data));
		if (outcome === "duplicate") throw new Error("records from Kafka have no idempotency key");
		if (outcome === "published" || outcome === "known") feed.entries[name.log] = head.feedEntry;
		if (outcome === "published") this.#committed();
		return outcome;
	}

	/**
	 * Appends a publication of the durable store, or of Redis, at its offset. Returns `known` if any process has appended it already. Pass
	 * publications in order, starting at the channel's position in this log. Older ones are read from the store.
	 * @throws RangeError as `publish` does.
	 */
	mirror(channel: string, data: Uint8Array, options: MirrorOptions): "published" | "known" | "too_large" | FullReason {
		const name = this.#names.get(channel);
		const log = this.#logs[name.log]!;
		const { head } = log;
		head.flags =
			RecordFlag.fed | RecordFlag.stored | (options.delta ? RecordFlag.delta : 0) | (options.hidden !== undefined ? RecordFlag.hidden : 0);
		head.feed0 = options.epoch0;
		head.feed1 = options.epoch1;
		head.feedName = storeName;
		head.leaderEpoch = 0;
		head.sequence = sequenceOf({ offset: options.offset - 1, index: 0 });
		const appending = this.#prepare(name, data, options);
		if (options.hidden !== undefined) appending.channel = { ...name, list: hiddenList };
		if (options.hidden === "gap") appending.data = encoder.encode(channel);
		appending.info = options.info ?? nothing;
		appending.tags = options.tags === undefined ? nothing : encoder.encode(JSON.stringify(options.tags));
		const outcome = log.append(appending);
		appending.data = nothing;
		if (outcome === "duplicate") throw new Error("publications of the store have no idempotency key here");
		if (outcome === "published") this.#committed();
		return outcome;
	}

	/** 64 bits that stand for these logs: the same in all processes of a cluster, and others after its restart. */
	identity(): readonly [number, number] {
		return this.#names.cluster();
	}

	/** Number of the log that a channel belongs to. */
	logOf(channel: string): number {
		return this.#names.get(channel).log;
	}

	/** The shard that copies publications of other machines into a log, encoded by `holderOf`; 0 = none. */
	feeder(log: number): number {
		return feederOf(this.#logs[log]!.memory);
	}

	/** Makes this shard the feeder of a log that has none. */
	takeFeed(log: number): boolean {
		return takeFeed(this.#logs[log]!.memory, this.#self);
	}

	/** Stops being the feeder of any log. */
	releaseFeeds(): void {
		for (const { memory } of this.#logs) releaseFeed(memory, this.#self);
	}

	/** Epoch of channels with the offsets of this partition. */
	static epochOf({ feed0, feed1 }: Feed): string {
		return epochText(feed0, feed1);
	}

	history(channel: string, options: LogHistoryOptions = {}): History | null {
		const name = this.#names.get(channel);
		return this.#histories[name.log]!.read(name, options, this.#before(name, options.asOf), this.#nowMs());
	}

	position(channel: string, asOf?: LogReader): Position | null {
		const name = this.#names.get(channel);
		return this.#histories[name.log]!.position(name, this.#before(name, asOf), this.#nowMs());
	}

	/** A summary for the console; see `LogHistory.glance`. */
	summary(channel: string): HistorySummary | null {
		const name = this.#names.get(channel);
		return this.#histories[name.log]!.summary(name, this.#nowMs());
	}

	removeHistory(channel: string): boolean {
		const name = this.#names.get(channel);
		return this.#logs[name.log]!.forget(name);
	}

	/** Creates a record source that gets all publications from now on. */
	reader(slot: number): LogReader {
		return new LogReader(this.#logs, slot);
	}

	/** A counter, summed over all logs, since the cluster started. */
	counter(counter: LogCounter): number {
		return countedBy(this.#logs, counter);
	}

	/** Fill levels, for the metrics. */
	fill(): LogFill {
		const memories = this.#logs.map(({ memory }) => memory);
		return fillOf(memories, this.#nowMs());
	}

	/** All counters, as in `counter`. */
	counts(): Record<LogCounter, number> {
		return countsOf(this.#logs);
	}

	/** Unmaps the logs. Neither this object nor its readers may be used afterwards. */
	close(): void {
		this.#close();
	}

	#takeKey(head: LogRecordHead, name: ChannelName, { key, ttlMs }: Idempotency): void {
		checkKeyTtl(ttlMs);
		head.keyTtlMs = Math.floor(ttlMs);
		[head.hash0, head.hash1] = this.#names.hash(name, key);
	}

	/** Fills in the fields common to all publications, without an idempotency key. */
	#prepare(name: ChannelName, data: Uint8Array, { history, kind, sender }: Pick<MirrorOptions, "history" | "kind" | "sender">) {
		const { head } = this.#logs[name.log]!;
		takeLimits(head, history);
		const appending = this.#appending;
		appending.channel = name;
		appending.data = data;
		appending.kind = kind ?? RecordKind.text;
		appending.extensions = nothing;
		appending.senderId = sender?.id ?? 0;
		appending.senderLife = sender?.life ?? 0;
		head.key0 = name.key[0]!;
		head.key1 = name.key[1]!;
		head.key2 = name.key[2]!;
		head.key3 = name.key[3]!;
		head.hash0 = 0;
		head.hash1 = 0;
		head.timeMs = this.#nowMs();
		return appending;
	}

	#before({ log }: ChannelName, asOf: LogReader | undefined): number {
		return asOf === undefined ? this.#logs[log]!.tail : asOf.cursor(log);
	}
}

/** The detail text of `too_large`. Call after the attempt to append. */
function tooLarge({ head, memory }: SequencedLog, { length }: Uint8Array): string {
	const most = memory.recordBytesMax - (recordBytes(head) - length);
	return `a publication of ${length} bytes does not fit into the history; the most is ${most}: give more --history-memory`;
}

function takeLimits(head: LogRecordHead, limits: HistoryLimits): void {
	checkLimits(limits);
	head.size = limits.size;
	head.ttlMs = Math.floor(limits.ttlMs);
	head.metaTtlMs = Math.floor(limits.metaTtlMs);
}
