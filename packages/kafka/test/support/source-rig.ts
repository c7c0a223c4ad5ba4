import { waitFor } from "@shardcast/testkit";
import { KafkaSource } from "../../src/client/kafka-source.ts";
import { IngestMemory } from "../../src/ingest-memory.ts";
import type { RelayLink } from "../../src/relay/relay-link.ts";
import type { SourceSink, TopicFound, TopicList, TopicOptions, TroubleKind } from "../../src/source.ts";
import type { FakeKafka } from "./fake-kafka.ts";
import { listOf } from "./topic-lists.ts";

interface SourceRigOptions {
	readonly names?: readonly string[];
	readonly patterns?: readonly string[];
	/** Which options name the topics; by default all are in `--kafka-topics`. */
	readonly topicOptions?: TopicOptions;
	/** To other sources. */
	readonly link?: RelayLink;
	readonly nowMs?: () => number;
}

/** A source that reads from brokers of the test's own, and all that it gives away. */
export class SourceRig {
	readonly source: KafkaSource;
	/** `offset:value`, and `reset:offset`, in the order of the ring. */
	readonly got: string[] = [];
	readonly troubles: { kind: TroubleKind; message: string; where: object | undefined }[] = [];
	readonly epochs: [epoch: number, from: number][] = [];
	/** The last list of topics. */
	list: TopicList = listOf([]);
	hasRoom = true;
	#waiting: (() => void)[] = [];

	readonly memory = IngestMemory.create(8, 65_536);

	constructor(kafka: FakeKafka, { names = [], patterns = [], topicOptions = [["--kafka-topics", names]], link, nowMs }: SourceRigOptions) {
		const sink: SourceSink = {
			topicsFound: (list) => {
				this.list = list;
			},
			looked: () => {},
			take: (_partition, record) => {
				if (!this.hasRoom) return false;
				this.got.push(`${record.offset}:${record.bytes.toString("utf8", record.valueStart, record.valueEnd)}`);
				return true;
			},
			room: () => new Promise((resolve) => this.#waiting.push(resolve)),
			logEnds: () => {},
			offered: () => true,
			reset: (_partition, offset) => {
				this.got.push(`reset:${offset}`);
				return true;
			},
			epoch: (_partition, epoch, from) => void this.epochs.push([epoch, from]),
			revoked: () => true,
			trouble: (kind, message, where) => void this.troubles.push({ kind, message, where }),
			healed: () => {},
		};
		const connection = { brokers: kafka.brokers, clientId: "test", ssl: null, sasl: null, connectionTimeoutMs: 1000 };
		this.source = new KafkaSource(
			{
				connection,
				subscription: { names, patterns, excluded: [] },
				topicOptions,
				...{ group: "g", groupsToStartFrom: ["g"], cluster: "c", metadataAgeMs: 50, backoffMsMax: 50 },
				limits: { waitMsMax: 20, bytesMax: 1 << 20, partitionBytesMax: 1 << 20 },
			},
			sink,
			link === undefined ? null : { link, memory: this.memory, ...(nowMs && { nowMs }) },
		);
	}

	makeRoom(): void {
		this.hasRoom = true;
		for (const resolve of this.#waiting.splice(0)) resolve();
	}

	/** Starts the source, and waits until it has found the topic. */
	async find(topic: string): Promise<TopicFound> {
		this.source.start();
		await waitFor(() => this.found(topic) !== undefined, { deadlineMs: 5000, what: `topic ${topic}` });
		return this.found(topic)!;
	}

	found(topic: string): TopicFound | undefined {
		return this.list.topics.find((each) => each.topic === topic);
	}

	/** Reads partition 0 from there on. */
	async read(topic: string, offset = 0, epoch = -1): Promise<void> {
		const { topicId } = await this.find(topic);
		this.source.assign([{ row: 0, topic, topicId, partition: 0, offset, epoch }]);
	}

	has(last: string): Promise<unknown> {
		return waitFor(() => this.got.includes(last), { deadlineMs: 5000, what: `${last}, after ${this.got.slice(-3)}` });
	}
}
