import type { BusLink, MessageDetails } from "@shardcast/bus";
import { type ChannelLog, type History, type LogHistoryOptions, LogLayout, type LogReader, type Position } from "@shardcast/channel-log";
import type { Namespaces } from "@shardcast/channels";
import { redisMetrics, type SharedChannelReading, sharedChannelMetrics } from "@shardcast/control";
import { Compressor, FeedCounts, Feeder, IncomingMessages, nobodysEpoch, OutgoingMessages, RedisBroker } from "@shardcast/redis-broker";
import type { Counters, Scoreboard } from "@shardcast/scoreboard";
import type { ProcessMetrics } from "@shardcast/telemetry";
import { monotonicMs, type PublishResult, type RecordKind, RecordType } from "@shardcast/wire";
import type { ChannelRecordType } from "../delivery/fan-out.ts";
import type { PublishLimits } from "../delivery/publishing/history-publisher.ts";
import type { HistoryBroker, HistoryReader } from "../durable/history-reader.ts";
import { OlderPublications } from "../durable/older-publications.ts";
import { StreamReads } from "../durable/stream-reads.ts";
import type { Feature } from "../lifecycle/feature.ts";
import { ChannelRecords, listedMax } from "./channel-records.ts";
import { FedLogs } from "./fed-logs.ts";
import { type NoticeListeners, Notices } from "./notices.ts";
import type { SharedRedis } from "./open-redis.ts";
import { WantedChannels } from "./wanted-channels.ts";

interface RedisChannelsParts {
	readonly redis: SharedRedis;
	readonly publicationBytesMax: number;
	/** Read at each use. */
	readonly live: { readonly namespaces: Namespaces };
	readonly history: ChannelLog;
	/** Kafka orders the channels with history, the same way on each node. */
	readonly isKafkas: boolean;
	/** Channels that other nodes do not publish to. */
	readonly others: HistoryReader;
	readonly board: Pick<Scoreboard, "members">;
	readonly row: Pick<Counters, "add" | "set"> & { readonly slot: number; readonly incarnation: number };
	/** This shard's incarnation, see `incarnationId`. */
	readonly life: number;
	readonly bus: Pick<BusLink, "claim" | "commit" | "u8" | "view" | "recordBytesMax">;
	readonly onCommit: () => void;
	/** Called after a record with high priority was written to the ring. */
	readonly onUrgent: () => void;
	/** Clients that want channels without naming them. */
	readonly listeners: NoticeListeners;
	/** All channels with subscribers on this shard, once for each provider of audiences. */
	readonly subscribed: () => Iterable<string>;
}

const idempotencyTtlMs = 300_000;
const tickMs = 20;

/**
 * Channels with history in a cluster of several nodes. Redis orders the publications and keeps them, the logs of each node mirror them, and clients
 * are served from the logs, as on a single node.
 */
export class RedisChannels implements Feature, HistoryReader {
	readonly name = "redis channels";
	readonly wanted: WantedChannels;
	/** Takes what backends publish to Redis for all nodes; null = this node does not take it. Set before the start. */
	takes: ((message: Buffer) => void) | null = null;
	readonly #parts: RedisChannelsParts;
	readonly #broker: RedisBroker;
	readonly #records: ChannelRecords;
	readonly #logs: FedLogs;
	readonly #feeder: Feeder;
	readonly #notices: Notices;
	readonly #reads: StreamReads;
	readonly #older: OlderPublications;
	readonly #outgoing: OutgoingMessages;
	readonly #incoming: IncomingMessages;
	/** The logs whose pub/sub channel for messages without history this shard receives: those that it feeds. */
	readonly #received = new Set<number>();
	readonly #compressors: { readonly batches: Compressor; readonly publications: Compressor };
	readonly #counts = new FeedCounts();
	readonly #published = { accepted: 0, duplicate: 0, refused: 0, unacknowledged: 0 };
	readonly #reached = new Map<string, Position>();
	readonly #restartedHere = new Set<string>();
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: RedisChannelsParts) {
		const { redis: shared, publicationBytesMax, history: log, board, row, bus, onCommit, onUrgent } = parts;
		const nowMs = monotonicMs;
		const { client: redis, prefix, trustsReplicas, publishWaitMs: waitMs, compression } = shared;
		const [id0, id1] = log.identity();
		const node = { id0, id1 };
		this.#parts = parts;
		this.#compressors = { batches: new Compressor(compression), publications: new Compressor(compression) };
		const { batches, publications } = this.#compressors;
		this.#broker = new RedisBroker({ redis, prefix, node, trustsReplicas, waitMs, publicationBytesMax, compressor: publications });
		this.#records = new ChannelRecords({ ring: bus, onCommit, relay: (record) => this.relay(record, false) });
		this.#logs = new FedLogs({ log, board, row, nowMs });
		this.wanted = new WantedChannels({ log, records: this.#records, has: (channel) => this.has(channel), nowMs });
		this.#notices = new Notices({
			records: this.#records,
			listeners: parts.listeners,
			want: (channel, since) => this.has(channel) && this.wanted.noticed(channel, since),
			nowMs,
		});
		this.#feeder = new Feeder({
			...{ redis, broker: this.#broker, node, log, counts: this.#counts, nowMs },
			limitsOf: (channel) => this.#limitsOf(channel),
			reached: (channel, position) => this.#reached.set(channel, position),
			restarted: (channel) => this.#restartedHere.add(channel),
		});
		const topic = this.#broker.keys.messages(row.slot % LogLayout.logs);
		this.#outgoing = new OutgoingMessages({ redis, node, slot: row.slot, topic, compressor: batches });
		this.#incoming = new IncomingMessages({ ring: bus, onCommit, onUrgent, node });
		this.#reads = new StreamReads({ broker: this.#broker, nowMs });
		this.#older = new OlderPublications({ log, reads: this.#reads });
	}

	/** Sends a message without history to the other nodes. This node has it already. */
	readonly relay = (record: Uint8Array, isUrgent: boolean): void => this.#outgoing.take(record, isUrgent);

	has(channel: string): boolean {
		return this.#limitsOf(channel) !== null;
	}

	/** Settles when Redis has accepted or refused it. Publications of one channel keep their order. */
	async publish(
		kind: RecordKind,
		id: number,
		channel: string,
		payload: Uint8Array,
		history: PublishLimits,
		{ info, tags, idempotencyKey: key, delta = false }: MessageDetails = {},
	): Promise<PublishResult> {
		const { row, life } = this.#parts;
		const result = await this.#broker.publish(channel, payload, {
			...{ history, kind },
			...(info && { info }),
			...(tags && { tags }),
			...((delta || history.delta) && { delta: true }),
			...(key !== undefined && { idempotency: { key, ttlMs: idempotencyTtlMs } }),
			...(id !== 0 && { sender: { id, life } }),
		});
		if (result.outcome === "accepted") {
			this.#published[result.duplicate ? "duplicate" : "accepted"]++;
			if (result.duplicate) return result;
			this.#notices.published(channel, result.position);
			row.add("messagesIn", 1);
			row.add("bytesIn", payload.length);
			return result;
		}
		this.#published[result.outcome === "unacknowledged" ? "unacknowledged" : "refused"]++;
		if (result.outcome === "full") row.add("backpressured", 1);
		return result;
	}

	/** Like the method of the logs, for all channels. */
	position(channel: string, asOf?: LogReader): Position | null {
		const { history: log, others } = this.#parts;
		if (!this.has(channel)) return others.position(channel, asOf);
		const from = this.wanted.fedFrom(channel);
		if (from === null) return null;
		const logged = log.position(channel, asOf);
		if (logged === null) return null;
		if (logged.epoch === from.epoch && logged.offset >= from.offset && logged.offset > 0) return logged;
		// Nothing was published in this epoch. In another one, something was: the feeder will report it, or this shard has not read that far.
		if (from.offset === 0 && (logged.epoch === nobodysEpoch || log.position(channel)?.offset === 0)) return from;
		this.wanted.askAgain(channel);
		return null;
	}

	/** Like the method of the logs, for all channels. Without `asOf`, ask the broker. */
	history(channel: string, options: LogHistoryOptions = {}): History | null {
		if (!this.has(channel)) return this.#parts.others.history(channel, options);
		const { since, limit = Number.MAX_SAFE_INTEGER, asOf } = options;
		const position = this.position(channel, asOf);
		if (position === null) return null;
		const none: History = { publications: [], position };
		if (since === undefined || limit <= 0 || since.epoch !== position.epoch || since.offset >= position.offset) return none;
		// Offsets have no gaps, so the number of publications is known.
		if (position.offset - since.offset > limit) return none;
		const { offset: to, epoch } = position;
		const publications = this.#older.between({ channel, epoch, asOf }, since.offset, to, limit);
		return publications === null ? null : { publications: publications === "gone" ? [] : publications, position };
	}

	broker(channel: string): HistoryBroker | null {
		return this.has(channel) ? this.#broker : (this.#parts.others.broker?.(channel) ?? null);
	}

	waits(channel: string): Promise<void> | null {
		return this.has(channel) ? this.wanted.waits(channel) : null;
	}

	/** Takes a record about channels, from this shard or another one. */
	readonly onRecord = (type: ChannelRecordType, origin: number, payload: Uint8Array): void => {
		switch (type) {
			case RecordType.follow:
				for (const [channel, since] of ChannelRecords.read(type, payload))
					if (this.#logs.isFedHere(this.#parts.history.logOf(channel))) this.#feeder.follow(channel, since);
				this.#tell();
				return;
			case RecordType.followed:
				for (const [channel, position] of ChannelRecords.read(type, payload)) this.wanted.followed(channel, position, origin);
				return;
			case RecordType.restarted:
				for (const channel of ChannelRecords.read(type, payload)) this.wanted.restarted(channel);
				return;
			case RecordType.noticed:
				this.#notices.received(ChannelRecords.read(type, payload));
		}
	};

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		const { client } = this.#parts.redis;
		metrics.addReading(redisMetrics, () => client);
		metrics.addReading(sharedChannelMetrics, () => this.#reading());
	}

	#reading(): SharedChannelReading {
		const { brought, caughtUp, lost: gone, unreadable } = this.#counts;
		const { counts: sent } = this.#outgoing;
		const { counts: received } = this.#incoming;
		return {
			published: this.#published,
			...{ followed: this.#feeder.size, wanted: this.wanted.size },
			brought: { announced: brought - caughtUp, read: caughtUp },
			lost: { gone, unreadable },
			recoveryReads: this.#reads.count,
			messages: { sent: sent.messages, received: received.messages },
			batches: sent.batches,
			droppedMessages: { offline: sent.droppedOffline, full: sent.droppedFull + received.droppedFull, unreadable: received.unreadable },
			missedBatches: received.missed,
			savedBytes: { batches: this.#compressors.batches.savedBytes, publications: this.#compressors.publications.savedBytes },
		};
	}

	start(): void {
		this.#logs.tick();
		this.#receive();
		this.#timer = setInterval(() => this.#tick(), tickMs);
	}

	reload(): () => void {
		return () => setImmediate(() => this.wanted.renew(this.#parts.subscribed()));
	}

	everySecond(): void {
		this.#feeder.everySecond();
		this.#reads.everySecond();
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#feeder.stop();
		this.#outgoing.stop();
		this.#incoming.stop();
		this.#parts.redis.client.close();
		// Last, so that no other shard receives the same messages before this one has stopped.
		this.#logs.stop();
	}

	#limitsOf(channel: string): PublishLimits | null {
		const { live, isKafkas } = this.#parts;
		if (isKafkas) return null;
		const { options, history } = live.namespaces.of(channel);
		return options.durable ? null : history;
	}

	#receive(): void {
		const { client } = this.#parts.redis;
		for (let index = 0; index < LogLayout.logs; index++) {
			if (this.#received.has(index) || !this.#logs.isFedHere(index)) continue;
			this.#received.add(index);
			// If Redis cannot be reached, the client subscribes as soon as it can.
			client.subscribe(this.#broker.keys.messages(index), (batch) => this.#incoming.take(batch), { sharded: true }).catch(() => {});
			// One shard of the node: the one that feeds the first log.
			if (index === 0 && this.takes !== null) client.subscribe(this.#broker.keys.published, this.takes).catch(() => {});
		}
	}

	#tick(): void {
		this.#logs.tick();
		this.#receive();
		this.#notices.tick();
		this.wanted.tick();
		this.#tell();
	}

	/** Sends all shards what has changed here. What finds no room is sent next time. */
	#tell(): void {
		while (this.#restartedHere.size > 0) {
			const channels = [...this.#restartedHere].slice(0, listedMax);
			if (!this.#records.send(RecordType.restarted, null, channels)) return;
			for (const channel of channels) this.#restartedHere.delete(channel);
		}
		while (this.#reached.size > 0) {
			const channels = [...this.#reached].slice(0, listedMax);
			if (!this.#records.send(RecordType.followed, null, channels)) return;
			for (const [channel] of channels) this.#reached.delete(channel);
		}
	}
}
