import { backoffMs } from "@shardcast/process";
import type { KafkaConnectionOptions } from "../client/connection-options.ts";
import { createCluster, type KafkajsCluster } from "../client/kafkajs-cluster.ts";
import { FetchAnswers } from "../protocol/fetch-answers.ts";
import { type FetchedPartition, type FetchLimits, fetchRequest, supportsFetchById } from "../protocol/fetch-protocol.ts";
import { CorruptBatch, RecordReader } from "../protocol/record-reader.ts";
import type { SourceRecord } from "../source.ts";

/** A part of a partition, from Kafka offset `from` up to, but not including, `to`. */
interface PartitionRange {
	readonly topic: string;
	/** Null when the brokers do not report topic ids. */
	readonly topicId: string | null;
	readonly partition: number;
	readonly from: number;
	readonly to: number;
}

/** Part of the range no longer exists: retention has removed it, or its topic was deleted. */
export class RangeGone extends Error {
	override readonly name = "RangeGone";
}

interface Fetched {
	/** Undefined when the answer does not contain the partition. */
	readonly part: FetchedPartition | undefined;
	release(): void;
}

/** Kafka error codes in a fetch answer. */
const KafkaError = { offsetOutOfRange: 1 } as const;
/** A read fails after this many attempts to find the partition's leader. */
const attemptsMax = 5;
const attemptMsMax = 1000;

/**
 * Reads ranges of partitions again for clients that have missed them. It has its own connections, so that live records do not wait.
 * Reads may run at the same time. Connects on the first read. **Used by one thread.**
 *
 * Bound: two answers (`limits.bytesMax` each) per read in progress.
 */
export class RangeReader {
	readonly #answers: FetchAnswers;
	readonly #cluster: KafkajsCluster;
	readonly #limits: FetchLimits;
	#refreshing: Promise<void> | null = null;
	/** The last fetch sent to each broker, by node id. */
	readonly #fetching = new Map<string, Promise<unknown>>();

	constructor({ connection, limits }: { readonly connection: KafkaConnectionOptions; readonly limits: FetchLimits }) {
		this.#limits = limits;
		this.#answers = new FetchAnswers(limits.bytesMax);
		this.#cluster = createCluster({ ...connection, clientId: `${connection.clientId}-history` }, this.#answers.socketFactory);
	}

	/**
	 * Visits all records of the range in order. A record is valid only until `visit` returns, or its promise resolves.
	 * @param isOver called between answers; returning true ends the read without an error.
	 * @throws RangeGone; other errors when the brokers cannot be reached.
	 */
	async read(range: PartitionRange, visit: (record: SourceRecord) => void | Promise<void>, isOver: () => boolean): Promise<void> {
		const reader = new RecordReader();
		let position = range.from;
		let failures = 0;
		let leader = await this.#leaderOf(range, false);
		while (position < range.to && !isOver()) {
			if (leader === null || failures > 0) {
				if (failures++ >= attemptsMax) throw new Error(`topic ${range.topic} partition ${range.partition} has no leader`);
				await new Promise((resolve) => setTimeout(resolve, backoffMs(failures, attemptMsMax)));
				leader = await this.#leaderOf(range, true);
				if (leader === null) continue;
			}
			const { part, release } = await this.#fetch(range, leader, position);
			try {
				if (part === undefined || part.errorCode !== 0) {
					if (part?.errorCode === KafkaError.offsetOutOfRange) throw new RangeGone(`offset ${position} no longer exists`);
					failures = Math.max(failures, 1);
					continue;
				}
				failures = 0;
				reader.reset(part.records, position, part.aborted);
				while (nextRecord(reader) && reader.offset < range.to) {
					const waits = visit(reader);
					if (waits !== undefined) await waits;
				}
				if (reader.nextOffset > position) position = reader.nextOffset;
				else if (part.logEnd <= position) throw new RangeGone(`the log ends at ${part.logEnd}`);
			} finally {
				release();
			}
		}
	}

	close(): Promise<void> {
		return this.#cluster.disconnect();
	}

	/** One fetch at a time per broker: see FetchAnswers. */
	#fetch(range: PartitionRange, leader: string, offset: number): Promise<Fetched> {
		const fetched = (this.#fetching.get(leader) ?? Promise.resolve()).then(() => this.#send(range, leader, offset));
		this.#fetching.set(
			leader,
			fetched.catch(() => {}),
		);
		return fetched;
	}

	async #send({ topic, topicId, partition }: PartitionRange, leader: string, offset: number): Promise<Fetched> {
		const broker = await this.#cluster.findBroker({ nodeId: leader });
		const target = { topic, topicId, partition, offset, leaderEpoch: -1, lastEpoch: -1 };
		const request = fetchRequest([target], this.#limits, supportsFetchById(broker.versions));
		const { answer, release } = await this.#answers.send(broker.connectionPool, request);
		return { part: answer.find((part) => part.topic === topic && part.partition === partition), release };
	}

	/** Node id of the leader; null while there is none. @throws RangeGone when the topic was deleted or recreated. */
	async #leaderOf(range: PartitionRange, again: boolean): Promise<string | null> {
		const { topic, topicId, partition } = range;
		const cluster = this.#cluster;
		const known = () => cluster.brokerPool.metadata?.topicMetadata.find((each) => each.topic === topic);
		if (again || known() === undefined) await this.#refresh(topic);
		const found = known();
		if (topicId !== null && found?.topicId != null && found.topicId !== topicId) {
			if (!again) return this.#leaderOf(range, true);
			throw new RangeGone(`topic ${topic} was recreated`);
		}
		const leader = found?.partitionMetadata.find(({ partitionId }) => partitionId === partition)?.leader ?? -1;
		return leader < 0 ? null : String(leader);
	}

	/** One at a time: the topics to ask for are state of the cluster object. */
	async #refresh(topic: string): Promise<void> {
		const before = this.#refreshing;
		const now = (async () => {
			await before?.catch(() => {});
			const cluster = this.#cluster;
			cluster.targetTopics = new Set([...cluster.targetTopics, topic]);
			if (!cluster.isConnected()) await cluster.connect();
			try {
				await cluster.refreshMetadata();
			} catch (error) {
				// Otherwise later refreshes for other topics would fail too.
				cluster.targetTopics.delete(topic);
				throw error;
			}
		})();
		this.#refreshing = now;
		await now;
	}
}

/** Skips corrupt batches, as the live source did. */
function nextRecord(reader: RecordReader): boolean {
	for (;;) {
		try {
			return reader.next();
		} catch (error) {
			if (!(error instanceof CorruptBatch)) throw error;
		}
	}
}
